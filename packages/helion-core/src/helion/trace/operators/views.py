"""Views of device values: they only rearrange, so each becomes a permute, a reshape or an expand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from torch.utils._sympy.functions import FloorDiv

from ... import exc, ir, location
from ...ir import Dim, Range, Size, Value
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
    wanted = [expr_of(s) for s in size]
    exact = [_exact(s) for s in source]
    target = shapes.infer_size(
        list(map(_exact, wanted)), shapes.product(exact), "reshape", tracer.show(source), tracer.show_size
    )
    groups = shapes.group_reshape(exact, target)
    target = [_whole(t) if shapes.same(w, -1) else w for w, t in zip(wanted, target, strict=True)]
    if groups is None:
        raise exc.UnsupportedReshape(
            op="reshape", source=tracer.show(source), target=tracer.show(target), location=location.here()
        )
    dims = [Dim(1)] * len(target)
    for left, right in groups:
        if len(left) == len(right) == 1:
            dims[right[0]] = value.dims[left[0]]
            continue
        group = _Group([value.dims[k] for k in left], [target[k] for k in right])
        if not _is_legal(tracer, group):
            raise exc.UnsupportedReshape(
                op="reshape", source=tracer.show(source), target=tracer.show(target), location=location.here()
            )
        for k in right:
            dims[k] = tracer.dim(target[k])
        carried = frozenset(_carried_range(r, group) for r in _tile_ranges(group.left[0]))
        if carried:
            dims[right[0]] = Dim(target[right[0]], carried)
    return _reshaped(tracer, value, dims)


def _exact(size: Size) -> Size:
    """Floor divisions of a block size as exact ones: `_may_carry` sees to it that the block size is a multiple."""
    if isinstance(size, int) or not size.has(FloorDiv):
        return size
    return size.replace(FloorDiv, lambda a, b: a / b)


def _whole(size: Size) -> Size:
    """The inverse of `_exact`."""
    if isinstance(size, int):
        return size
    numerator, denominator = size.as_numer_denom()
    return size if denominator == 1 else FloorDiv(numerator, denominator)


class _Group(NamedTuple):
    """Dims of a value and the sizes that they become, of equal product."""

    left: list[Dim]
    right: list[Size]

    @property
    def factor(self) -> Size:
        """How many elements one step along the first source dim covers."""
        return shapes.product([d.size for d in self.left[1:]])

    @property
    def divisor(self) -> Size:
        """The same for the first target dim."""
        return shapes.product(self.right[1:])


def _tile_ranges(dim: Dim) -> list[Range]:
    """Ranges of tiles, which mask some lanes in some tiles."""
    return [r for r in dim.ranges if not r.full and not r.scalar and not _is_even(r)]


def _is_even(r: Range) -> bool:
    """Whether all tiles of the range are whole for every config."""
    numbers = (r.begin, r.end, r.width)
    if not all(isinstance(n, int) for n in numbers):
        return False
    return r.width & (r.width - 1) == 0 and (r.end - r.begin) % r.width == 0  # type: ignore[operator]


def _is_legal(tracer: Tracer, group: _Group) -> bool:
    """Whether only the first dim of each side is padded or masked, and its mask has a counterpart on the other side."""
    tail = [*(d.size for d in group.left[1:]), *group.right[1:]]
    tracer.unpadded.update(size for size in tail if isinstance(size, int))
    if any(_may_be_padded(tracer, size) for size in tail) or any(_tile_ranges(d) for d in group.left[1:]):
        return False
    factor, divisor, first = group.factor, group.divisor, group.left[0].size
    if isinstance(factor, int) and isinstance(divisor, int) and not isinstance(first, int):
        tracer.need_lanes(first, max(1, divisor // factor))
    return all(_may_carry(tracer, r, group) for r in _tile_ranges(group.left[0]))


def _may_carry(tracer: Tracer, r: Range, group: _Group) -> bool:
    """Whether the range becomes one of whole steps of the first target dim."""
    factor, divisor = group.factor, group.divisor
    if r in tracer.jagged or not isinstance(factor, int) or not isinstance(divisor, int):
        return False
    if divisor == 1:
        return True
    if not all(isinstance(n, int) and n * factor % divisor == 0 for n in (r.begin, r.end)):
        return False
    return not isinstance(r.width, int) or r.width * factor % divisor == 0


def _carried_range(r: Range, group: _Group) -> Range:
    """The range of the first target dim: indices of `r` times the factor, divided by the divisor."""

    def scaled(size: Size) -> Size:
        return shapes.divide(size * group.factor, group.divisor) if isinstance(size, int) else _floor(size)

    def _floor(size: Size) -> Size:
        product = size * group.factor
        return product if group.divisor == 1 else FloorDiv(product, group.divisor)

    name = f"{r.name}_times_{group.factor}" if group.divisor == 1 else f"{r.name}_over_{group.divisor}"
    return Range(
        name=name, begin=scaled(r.begin), end=scaled(r.end), width=group.right[0], base=scaled(r.base), parent=r
    )


def _may_be_padded(tracer: Tracer, size: Size) -> bool:
    """Whether the physical size may exceed the logical one: not for powers of two and block sizes."""
    return isinstance(size, int) and (size & (size - 1) != 0 or size in tracer.min_lanes)
