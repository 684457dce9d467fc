"""Explicit accesses: `hl.load`, `hl.store`, atomic updates, and tensors behind device pointers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from .. import exc, location
from . import indexing, subscripts
from .host_tensors import host_tensor
from .values import TileTensor

if TYPE_CHECKING:
    from .tracer import Tracer

_SEMANTICS = ("relaxed", "acquire", "release", "acq_rel")
_INTS = (torch.int32, torch.int64, torch.uint32, torch.uint64)
_ATOMIC_DTYPES = {
    "add": (*_INTS, torch.float16, torch.bfloat16, torch.float32, torch.float64),
    "and": _INTS, "or": _INTS, "xor": _INTS,
    "max": (*_INTS, torch.float32), "min": (*_INTS, torch.float32),
    "xchg": (*_INTS, torch.float32, torch.float64), "cas": (*_INTS, torch.float32, torch.float64),
}  # fmt: skip
EVICTIONS = ("", "evict_first", "evict_last")


class StackTensor:
    """Tensors laid out like `example` at the addresses that `pointers` holds; subscripts read and write all of them.

    `stack[idx]` has the dims of the pointers, then those of the subscript.
    """

    def __init__(self, tracer: Tracer, example: torch.Tensor, pointers: TileTensor) -> None:
        self._tracer, self.example, self.pointers = tracer, example, pointers

    @property
    def dtype(self) -> torch.dtype:
        return self.example.dtype

    def __getitem__(self, index: Any) -> TileTensor:
        return indexing.load(self._tracer, self.example, index, base=self.pointers)

    def __setitem__(self, index: Any, value: Any) -> None:
        indexing.store(self._tracer, self.example, index, value, base=self.pointers)


def stacktensor_like(tracer: Tracer, example: Any, pointers: Any) -> StackTensor:
    host = isinstance(example, torch.Tensor) and not isinstance(example, TileTensor)
    if not host or not isinstance(pointers, TileTensor) or pointers.dtype not in (torch.int64, torch.uint64):
        raise exc.InvalidArgument(
            what=f"hl.stacktensor_like of {tracer.describe(example)} and {tracer.describe(pointers)}",
            instead="give a host tensor as the example and an int64 device value of addresses (Tensor.data_ptr())",
            location=location.here(),
        )  # fmt: skip
    return StackTensor(tracer, example, pointers)


def _target(tensor: Any, function: str) -> tuple[Any, Any]:
    """(host tensor, pointers or None)."""
    if isinstance(tensor, StackTensor):
        return tensor.example, tensor.pointers
    if isinstance(tensor, tuple) and len(tensor) == 2 and isinstance(tensor[1], TileTensor):
        return tensor
    if isinstance(tensor, TileTensor) or not isinstance(tensor, torch.Tensor):
        raise exc.ReadOnlyCapture(name=f"the first argument of {function}", location=location.here())
    return tensor, None


def _index(index: Any) -> Any:
    return tuple(index) if isinstance(index, list) else index


def load(tracer: Tracer, tensor: Any, index: Any, mask: Any, eviction: str | None) -> TileTensor:
    if isinstance(tensor, TileTensor):
        return subscripts.getitem(tracer, tensor, _index(index))  # type: ignore[no-any-return]
    if eviction is not None and eviction not in EVICTIONS:
        raise exc.InvalidArgument(
            what=f"the eviction policy {eviction!r}", instead=f"use one of {', '.join(map(repr, EVICTIONS))}",
            location=location.here(),
        )  # fmt: skip
    host, base = _target(tensor, "hl.load")
    return indexing.load(tracer, host, _index(index), mask, base=base, eviction=eviction)


def store(tracer: Tracer, tensor: Any, index: Any, value: Any, mask: Any) -> None:
    host, base = _target(tensor, "hl.store")
    indexing.store(tracer, host, _index(index), value, mask, base=base)


def atomic(tracer: Tracer, kind: str, tensor: Any, index: Any, values: tuple[Any, ...], sem: str) -> TileTensor:
    """Records an atomic update of `tensor[index]`; the result is the previous value."""
    name = f"hl.atomic_{kind}"
    tensor, base = _target(tensor, name)
    host = host_tensor(tracer, tensor)
    index = () if index is None else index
    if sem not in _SEMANTICS:
        raise exc.InvalidArgument(
            what=f"sem={sem!r} of {name}", instead=f"use one of {', '.join(_SEMANTICS)}", location=location.here()
        )
    if host.dtype not in _ATOMIC_DTYPES[kind]:
        allowed = ", ".join(str(d).removeprefix("torch.") for d in _ATOMIC_DTYPES[kind])
        raise exc.DtypeMismatch(
            op=name,
            problem=f"`{host.name}` is {host.dtype}",
            instead=f"use a tensor of {allowed}",
            location=location.here(),
        )
    return indexing.atomic(tracer, kind, tensor, _index(index), values, sem, base)
