"""Views of device values: they only rearrange, so each becomes a permute, a reshape or an expand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from ... import exc, ir, location
from ...ir import Dim, Size, Value
from .. import shapes
from ..symbols import expr_of
from ..values import TileTensor
from .registry import aten, handles

if TYPE_CHECKING:
    from ..tracer import Tracer


def _reshaped(tracer: Tracer, value: Value, dims: Sequence[Dim]) -> TileTensor:
    """`value` with unit dims added or removed; its other dims are `dims` in order."""
    if tuple(dims) == value.dims:
        return tracer.wrap(value)
    return tracer.emit(ir.Reshape(inputs=(value,)), dims, value.dtype)


@handles(aten.unsqueeze.default)
def _unsqueeze(tracer: Tracer, x: TileTensor, dim: int) -> TileTensor:
    value = tracer.value(x)
    at = shapes.dim_number(dim, len(value.dims) + 1, "unsqueeze")
    return _reshaped(tracer, value, (*value.dims[:at], Dim(1), *value.dims[at:]))


@handles(aten.squeeze.default, aten.squeeze.dim, aten.squeeze.dims)
def _squeeze(tracer: Tracer, x: TileTensor, dim: Any = None) -> TileTensor:
    value = tracer.value(x)
    rank = len(value.dims)
    listed = range(rank) if dim is None else dim if isinstance(dim, (list, tuple)) else [dim]
    chosen = {shapes.dim_number(d, rank, "squeeze") for d in listed}
    kept = [d for k, d in enumerate(value.dims) if not (k in chosen and shapes.is_one(d.size))]
    return _reshaped(tracer, value, kept)


@handles(aten.permute.default)
def permute(tracer: Tracer, x: TileTensor, order: Sequence[int]) -> TileTensor:
    value = tracer.value(x)
    axes = tuple(shapes.dim_number(d, len(value.dims), "permute") for d in order)
    if len(set(axes)) != len(value.dims):
        raise exc.ShapeMismatch(
            op="permute", left=f"order {list(order)}", right=tracer.show(value.shape), relation="fit", detail="",
            help="name every dimension once", location=location.here(),
        )  # fmt: skip
    if axes == tuple(range(len(axes))):
        return tracer.wrap(value)
    return tracer.emit(ir.Permute(order=axes, inputs=(value,)), [value.dims[a] for a in axes], value.dtype)


@handles(aten.transpose.int)
def _transpose(tracer: Tracer, x: TileTensor, a: int, b: int) -> TileTensor:
    rank = x.dim()
    order = list(range(rank))
    first, second = shapes.dim_number(a, rank, "transpose"), shapes.dim_number(b, rank, "transpose")
    order[first], order[second] = order[second], order[first]
    return permute(tracer, x, order)


@handles(aten.t.default, aten.numpy_T.default)
def _t(tracer: Tracer, x: TileTensor) -> TileTensor:
    return permute(tracer, x, list(reversed(range(x.dim()))))


@handles(aten.expand.default)
def _expand(tracer: Tracer, x: TileTensor, size: Sequence[Any], implicit: bool = False) -> TileTensor:
    value = tracer.value(x)
    extra = len(size) - len(value.dims)
    old = (Dim(1),) * extra + value.dims
    dims: list[Dim] = []
    for dim, wanted in zip(old, map(expr_of, size), strict=True):
        if shapes.same(wanted, -1) or shapes.same(wanted, dim.size):
            dims.append(dim)
        elif shapes.is_one(dim.size):
            dims.append(tracer.dim(wanted))
        else:
            raise exc.ShapeMismatch(
                op="expand", left=tracer.show(value.shape), right=tracer.show([expr_of(s) for s in size]),
                relation="agree", detail="", help="only dimensions of size 1 expand", location=location.here(),
            )  # fmt: skip
    padded = tracer.value(_reshaped(tracer, value, old))
    if tuple(dims) == padded.dims:
        return tracer.wrap(padded)
    return tracer.emit(ir.Expand(inputs=(padded,)), dims, value.dtype)


@handles(aten.view.default, aten.reshape.default, aten._unsafe_view.default)
def reshape(tracer: Tracer, x: TileTensor, size: Sequence[Any]) -> TileTensor:
    """`x.reshape(size)`. Refuses what would move padded elements between real ones."""
    value = tracer.value(x)
    source = value.shape
    target = shapes.infer_size(
        [expr_of(s) for s in size], shapes.product(source), "reshape", tracer.show(source), tracer.show_size
    )
    groups = shapes.group_reshape(source, target)
    if groups is None:
        raise exc.UnsupportedReshape(
            op="reshape", source=tracer.show(source), target=tracer.show(target), location=location.here()
        )
    dims = [Dim(1)] * len(target)
    for left, right in groups:
        if len(left) == len(right) == 1:
            dims[right[0]] = value.dims[left[0]]
            continue
        _check_padding(tracer, [value.dims[k] for k in left], [target[k] for k in right], source, target)
        for k in right:
            dims[k] = tracer.dim(target[k])
    return _reshaped(tracer, value, dims)


def _check_padding(
    tracer: Tracer, left: Sequence[Dim], right: Sequence[Size], source: Sequence[Size], target: Sequence[Size]
) -> None:
    """Only the first dim of each side of a group may be padded; and no tile's mask may be lost."""
    tail = [*(d.size for d in left[1:]), *right[1:]]
    padded_tail = any(_may_be_padded(tracer, size) for size in tail)
    tracer.unpadded.update(size for size in tail if isinstance(size, int))
    masked = any(not r.full for d in left for r in d.ranges)
    if padded_tail or masked:
        raise exc.UnsupportedReshape(
            op="reshape", source=tracer.show(source), target=tracer.show(target), location=location.here()
        )


def _may_be_padded(tracer: Tracer, size: Size) -> bool:
    """Whether the physical size may exceed the logical one: not for powers of two and block sizes."""
    return isinstance(size, int) and (size & (size - 1) != 0 or size in tracer.min_lanes)


# --- subscripts of device values


def subscript(tracer: Tracer, x: TileTensor, index: Any) -> TileTensor:
    """`x[index]` of a device value: `:`, `None`, `...`, ints, constant slices and one integer tensor."""
    from .movement import index_by_value, select, slice_

    entries = list(index) if isinstance(index, (tuple, list)) else [index]
    rank = x.dim()
    given = sum(e is not None and e is not Ellipsis for e in entries)
    if given > rank:
        raise exc.RankMismatch(tensor="value", rank=rank, given=given, location=location.here())
    missing = [slice(None)] * (rank - given)
    dots = [k for k, e in enumerate(entries) if e is Ellipsis]
    entries = entries[: dots[0]] + missing + entries[dots[0] + 1 :] if dots else entries + missing
    at = 0
    for entry in entries:
        if entry is None:
            x, at = x.unsqueeze(at), at + 1
        elif isinstance(entry, slice):
            x, at = slice_(tracer, x, at, entry.start, entry.stop, 1 if entry.step is None else entry.step), at + 1
        elif isinstance(entry, TileTensor) and entry.dim() > 0:
            _check_index(entry)
            x, at = index_by_value(tracer, x, at, entry), at + entry.dim()
        elif isinstance(entry, TileTensor):
            x = select(tracer, x, at, tracer.symbol_of(entry))
        elif isinstance(entry, (int, torch.SymInt)) and not isinstance(entry, bool):
            x = select(tracer, x, at, entry)
        else:
            raise exc.InvalidIndexing(
                what=f"`{entry}` on a device value", location=location.here(),
                instead="a device value holds one tile only: index it with :, None, ints, constant slices or an integer "
                "value, and use tiles on host tensors",
            )  # fmt: skip
    return x


def _check_index(entry: TileTensor) -> None:
    if entry.dtype is torch.bool:
        raise exc.DataDependentShape(op="a boolean mask as an index", location=location.here())
    if entry.dtype.is_floating_point:
        raise exc.InvalidIndexing(
            what=f"a {entry.dtype} value", instead="use integers, such as x.to(torch.int64)", location=location.here()
        )
