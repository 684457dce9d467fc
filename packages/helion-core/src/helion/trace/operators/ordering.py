"""Sorting: sort, argsort, topk, kthvalue, median.

Triton sorts one block of numbers, so a value and its position travel together: an int64 whose high half orders like
the value (NaN greatest, as in torch) and whose low half is the position, which also makes the order stable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from ... import exc, ir, location
from .. import jagged, shapes
from ..values import TileTensor
from .broadcast import along
from .movement import bitcast, lanes, narrow
from .pointwise import cast
from .registry import aten, handles

if TYPE_CHECKING:
    from ..tracer import Tracer

_NAN_BITS = 0x7FC00000


def _key(tracer: Tracer, x: TileTensor) -> TileTensor:
    """int32 numbers in the order of x."""
    if x.dtype in (torch.int64, torch.float64, torch.uint32, torch.uint64):
        raise exc.UnsupportedOperation(
            op=f"sorting {x.dtype}", reason=" (a value and its position share 64 bits)", location=location.here(),
            instead="convert it with .to(torch.float32) or .to(torch.int32) first",
        )  # fmt: skip
    if not x.dtype.is_floating_point:
        return cast(tracer, x, torch.int32)
    wide = cast(tracer, x, torch.float32)
    bits = bitcast(tracer, torch.where(wide == 0, torch.zeros_like(wide), wide), torch.int32)
    bits = torch.where(wide != wide, torch.full_like(bits, _NAN_BITS), bits)
    return bits ^ ((bits >> 31) & 0x7FFFFFFF)


def _value(tracer: Tracer, key: TileTensor, dtype: torch.dtype) -> TileTensor:
    """What `_key` was made of."""
    if not dtype.is_floating_point:
        return cast(tracer, key, dtype)
    return cast(tracer, bitcast(tracer, key ^ ((key >> 31) & 0x7FFFFFFF), torch.float32), dtype)


def sort(tracer: Tracer, x: TileTensor, dim: int, descending: bool) -> tuple[TileTensor, TileTensor]:
    """Values and int64 positions, stable."""
    if x.dim() == 0:
        return x, torch.zeros_like(x, dtype=torch.int64)
    d = shapes.dim_number(dim, x.dim(), "sort")
    moved = x.transpose(d, -1)
    key = _key(tracer, moved)
    key = ~key if descending else key
    dims = tracer.value(moved).dims
    positions = tracer.emit(ir.Iota(start=0, step=1), dims[-1:], torch.int32)
    packed = (cast(tracer, key, torch.int64) << 32) | cast(tracer, along(positions, x.dim(), x.dim() - 1), torch.int64)
    value = tracer.value(jagged.filled(tracer, packed, x.dim() - 1, torch.iinfo(torch.int64).max))
    ordered = tracer.emit(ir.Sort(inputs=(value,)), dims, torch.int64)
    found = cast(tracer, ordered >> 32, torch.int32)
    values = _value(tracer, ~found if descending else found, x.dtype)
    return values.transpose(d, -1), (ordered & 0xFFFFFFFF).transpose(d, -1)


@handles(aten.sort.default)
def _sort(
    tracer: Tracer, x: TileTensor, dim: int = -1, descending: bool = False, *, stable: Any = None
) -> tuple[TileTensor, TileTensor]:
    return sort(tracer, x, dim, descending)


@handles(aten.sort.stable)
def _sort_stable(
    tracer: Tracer, x: TileTensor, *, stable: Any = None, dim: int = -1, descending: bool = False
) -> tuple[TileTensor, TileTensor]:
    return sort(tracer, x, dim, descending)


@handles(aten.argsort.default)
def _argsort(tracer: Tracer, x: TileTensor, dim: int = -1, descending: bool = False) -> TileTensor:
    return sort(tracer, x, dim, descending)[1]


@handles(aten.argsort.stable)
def _argsort_stable(
    tracer: Tracer, x: TileTensor, *, stable: bool, dim: int = -1, descending: bool = False
) -> TileTensor:
    return sort(tracer, x, dim, descending)[1]


def _lanes_of(tracer: Tracer, x: TileTensor, dim: int, op: str, least: int) -> tuple[int, int]:
    """(dimension, its size), which must be a number of at least `least`."""
    d = shapes.dim_number(dim, x.dim(), op)
    size = tracer.value(x).shape[d]
    if not isinstance(size, int) or size < least:
        raise exc.ShapeMismatch(
            op=op, left=f"k = {least}", right=tracer.show(tracer.value(x).shape), relation="fit",
            detail=f" in dimension {d}",
            help=f"take {op} along a dimension of fixed size, such as one loaded with `:`", location=location.here(),
        )  # fmt: skip
    return d, size


@handles(aten.topk.default)
def _topk(
    tracer: Tracer, x: TileTensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True
) -> tuple[TileTensor, TileTensor]:
    d, _ = _lanes_of(tracer, x, dim, "topk", k)
    values, positions = sort(tracer, x, d, largest)
    return narrow(tracer, values, d, 0, k, 1), narrow(tracer, positions, d, 0, k, 1)


@handles(aten.kthvalue.default)
def _kthvalue(
    tracer: Tracer, x: TileTensor, k: int, dim: int = -1, keepdim: bool = False
) -> tuple[TileTensor, TileTensor]:
    d, _ = _lanes_of(tracer, x, dim, "kthvalue", k)
    values, positions = sort(tracer, x, d, False)
    found = narrow(tracer, values, d, k - 1, 1, 1), narrow(tracer, positions, d, k - 1, 1, 1)
    return found if keepdim else (found[0].squeeze(d), found[1].squeeze(d))


@handles(aten.median.dim)
def _median(tracer: Tracer, x: TileTensor, dim: int = -1, keepdim: bool = False) -> tuple[TileTensor, TileTensor]:
    """The lower median; the first NaN where there is one."""
    d, size = _lanes_of(tracer, x, dim, "median", 1)
    values, positions = sort(tracer, x, d, False)
    nans = (x != x).sum(d, keepdim=True)
    at = torch.where(nans > 0, size - nans, (size - 1) // 2)
    here = along(lanes(tracer, size), x.dim(), d) == at
    result = [
        torch.where(here, t, torch.zeros_like(t)).sum(d, keepdim=keepdim).to(t.dtype) for t in (values, positions)
    ]
    return result[0], result[1]
