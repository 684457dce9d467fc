"""Tensors of the host that device code meets: the fake ones that stand for them, and the program's entries for them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import sympy
import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils._sympy.functions import Max

from .. import exc, location
from ..ir import HostTensor
from .storage import Memory
from .symbols import expr_of
from .values import TileTensor

if TYPE_CHECKING:
    from .state import TraceState


def fake_of(state: TraceState, tensor: torch.Tensor) -> FakeTensor:
    """The fake tensor for a real one met while tracing."""
    found = state.real_tensors.get(id(tensor))
    if found is None:
        fake = fake_like(state, tensor)
        found = state.real_tensors[id(tensor)] = (tensor, fake)
        state.derived[id(fake)] = (fake, lambda find: find(tensor))
    return found[1]


def fake_like(state: TraceState, tensor: torch.Tensor) -> FakeTensor:
    """A fresh fake tensor with the sizes and strides of `tensor`; aliased arguments stay apart."""
    with _disable_current_modes(), state.fake_mode:
        return borrowed(
            state, torch.empty_strided(tensor.size(), tensor.stride(), dtype=tensor.dtype, device=tensor.device)
        )


def borrowed(state: TraceState, fake: torch.Tensor) -> FakeTensor:
    """Notes that `fake` stands for a tensor that was there before the call."""
    state.borrowed.add(fake.untyped_storage()._cdata)
    return fake  # type: ignore[return-value]


def source_of(state: TraceState, tensor: torch.Tensor) -> str:
    """The Python expression of a host tensor. Raises `HostTensorDirectUsage` where none is known."""
    derived = state.derived.get(id(tensor))
    if derived is not None:
        return derived[1](lambda inner: source_of(state, inner))
    found = state.names.find(tensor) if state.names is not None else None
    if found is None:
        raise exc.UnsupportedOperation(
            op="a host tensor that no variable of the kernel reaches", reason="", location=location.here(),
            instead="assign it to a variable before the tile loop",
        )  # fmt: skip
    return found


def host_tensor(state: TraceState, tensor: torch.Tensor) -> HostTensor:
    """The program's entry for a host tensor, made on first use."""
    if not isinstance(tensor, FakeTensor):
        tensor = fake_of(state, tensor)
    found = state.tensors.get(id(tensor))
    if found is None:
        source = source_of(state, tensor)
        _check_device(state, tensor.device, source)
        if tensor.dtype.is_complex:
            raise exc.UnsupportedTensor(
                name=source, what=str(tensor.dtype).removeprefix("torch."), instead="torch.view_as_real(x)"
            )
        found = HostTensor(
            _identifier(source), source, tensor.dtype, tuple(map(expr_of, tensor.size())),
            tuple(map(_stride, tensor.stride())), len(state.phases),
            tensor.untyped_storage()._cdata in state.borrowed,
        )  # fmt: skip
        state.tensors[id(tensor)] = found
        state.memory[found] = Memory.of(tensor)
        state.real_tensors.setdefault(id(tensor), (tensor, tensor))  # type: ignore[arg-type]
    return found


def _stride(stride: Any) -> Any:
    """A stride as an expression. torch counts sizes of 0 as 1, but then there is nothing to reach."""
    expr = expr_of(stride)
    if not isinstance(expr, sympy.Expr):
        return expr
    return expr.replace(
        lambda e: isinstance(e, (Max, sympy.Max)) and len(e.args) == 2 and 1 in e.args,
        lambda e: next(a for a in e.args if a != 1),
    )


def _check_device(state: TraceState, device: torch.device, source: str) -> None:
    """A kernel reads and writes memory of one device: a pointer into another's is wrong without any error."""
    state.devices.setdefault(device, source)
    if len({(d.type, d.index or 0) for d in state.devices}) > 1:
        found = ", ".join(f"`{name}` on {d}" for d, name in state.devices.items())
        raise exc.DeviceMismatch(name=state.name, devices=found)


def _identifier(source: str) -> str:
    parts = [
        p
        for p in re.findall(r"[A-Za-z_]\w*|\d+", source)
        if p not in ("torch", "ops", "aten", "default", "cell_contents")
    ]
    name = "_".join(parts).replace("__closure__", "").replace("__globals__", "").strip("_")
    return name if name and not name[0].isdigit() else f"t_{name}"


_VIEWS = {"t", "transpose", "permute", "view", "reshape", "unsqueeze", "squeeze", "expand", "alias", "detach", "select",
          "slice", "flatten", "_unsafe_view", "unflatten", "movedim", "swapaxes", "diagonal", "unfold"}  # fmt: skip


def host_operator(state: TraceState, func: Any, args: Any, kwargs: Any) -> Any:
    """An operator on host tensors alone inside a tile loop: views are replayed by the wrapper, the rest is refused."""
    if func is torch.ops.prim.device.default:  # fake tensors are asked for their device by dispatch
        return func(*args, **kwargs)
    check_unchanged(state, func, args)
    if func.overloadpacket.__name__ not in _VIEWS:
        tensor = next(a for a in [*args, *kwargs.values()] if isinstance(a, torch.Tensor))
        raise direct_usage(state, tensor, func)
    result = func(*args, **kwargs)
    packet, overload = func.overloadpacket.__name__, func._overloadname

    def render(find: Any) -> str:
        def show(a: Any) -> str:
            return find(a) if isinstance(a, torch.Tensor) else repr(a)

        shown = [*map(show, args), *(f"{k}={show(v)}" for k, v in kwargs.items())]
        return f"torch.ops.aten.{packet}.{overload}({', '.join(shown)})"

    state.derived[id(result)] = (result, render)
    return result


def check_unchanged(state: TraceState, func: Any, args: Sequence[Any]) -> None:
    """Raises `HostTensorChanged` where `func` writes to a host tensor: only stores and atomics reach its elements."""
    if not func._schema.is_mutable:
        return
    for argument, tensor in zip(func._schema.arguments, args, strict=False):
        if argument.is_write and isinstance(tensor, torch.Tensor) and not isinstance(tensor, TileTensor):
            raise exc.HostTensorChanged(
                name=_name_of(state, tensor), shape=state.show([expr_of(s) for s in tensor.size()]),
                index=", ".join(["tile"] * tensor.dim()) or "()", listed=", ".join(["tile"] * tensor.dim()),
                op=func.overloadpacket.__name__, location=location.here(),
            )  # fmt: skip


def _name_of(state: TraceState, tensor: torch.Tensor) -> str:
    try:
        return source_of(state, tensor)
    except exc.Base:
        return "tensor"


def direct_usage(state: TraceState, tensor: torch.Tensor, func: Any) -> exc.Base:
    name = _name_of(state, tensor)
    example = ", ".join(["tile"] + [":"] * (tensor.dim() - 1)) if tensor.dim() else "()"
    return exc.HostTensorDirectUsage(
        name=name, shape=state.show([expr_of(s) for s in tensor.size()]), example=example,
        op=func if isinstance(func, str) else getattr(func, "overloadpacket", func).__name__, location=location.here(),
    )  # fmt: skip
