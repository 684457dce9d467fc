"""Operators that move lanes of device values: slices, gathers, concatenation, flips.

Values live in registers, so a lane is reached by `ir.Gather` with computed positions; halves of a power of two are
split and joined without one. Sizes that a config chooses (tiles) can be flipped, rolled and gathered from, but not cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import torch

from ... import exc, ir, location
from ...ir import Dim, Size
from .. import jagged, shapes
from ..symbols import expr_of
from ..values import TileTensor
from .broadcast import along
from .pointwise import cast
from .reductions import reduce
from .registry import aten, handles
from .views import permute

if TYPE_CHECKING:
    from ..tracer import Tracer


# --- gathers


def lanes(tracer: Tracer, size: Size, start: Size = 0, step: Size = 1) -> TileTensor:
    """start, start + step, ...: `size` of them, int32."""
    return tracer.emit(ir.Iota(start=start, step=step), (tracer.dim(size),), torch.int32)


def take(tracer: Tracer, x: TileTensor, dim: int, positions: TileTensor) -> TileTensor:
    """`x.index_select(dim, positions)`, positions in bounds."""
    value = tracer.value(x)
    if shapes.is_one(value.shape[dim]):
        return _replaced(tracer, x, dim, tracer.value(positions).dims[0])
    index = along(cast(tracer, positions, torch.int32), len(value.dims), dim)
    wide = [*value.dims]
    wide[dim] = tracer.value(positions).dims[0]
    return gather(tracer, x, dim, _expanded(tracer, index, wide))


def _expanded(tracer: Tracer, x: TileTensor, dims: Sequence[Dim]) -> TileTensor:
    """`x` broadcast to exactly `dims`, ranges included."""
    value = tracer.value(x)
    return x if value.dims == tuple(dims) else tracer.emit(ir.Expand(inputs=(value,)), dims, value.dtype)


def _replaced(tracer: Tracer, x: TileTensor, dim: int, new: Dim) -> TileTensor:
    """`x`, whose dim `dim` has size 1, repeated along it."""
    dims = list(tracer.value(x).dims)
    dims[dim] = new
    return _expanded(tracer, x, dims)


def gather(tracer: Tracer, x: TileTensor, dim: int, index: TileTensor) -> TileTensor:
    """`ir.Gather`, through a type that Triton can move."""
    if x.dtype is torch.bool:
        return gather(tracer, cast(tracer, x, torch.int8), dim, index) != 0
    if x.dtype.itemsize == 1 and x.dtype.is_floating_point:
        return bitcast(tracer, gather(tracer, bitcast(tracer, x, torch.int8), dim, index), x.dtype)
    source, at = tracer.value(x), tracer.value(cast(tracer, index, torch.int32))
    return tracer.emit(ir.Gather(dim=dim, inputs=(source, at)), at.dims, source.dtype)


@handles(aten.gather.default)
def _gather(tracer: Tracer, x: TileTensor, dim: int, index: TileTensor, sparse_grad: bool = False) -> TileTensor:
    rank = x.dim()
    d = shapes.dim_number(dim, rank, "gather")
    source, at = tracer.value(x), tracer.value(index)
    if len(at.dims) != rank:
        raise _mismatch(
            tracer, "gather", source.shape, at.shape, "have the same rank", "give the index the rank of the value"
        )
    for k in range(rank):
        if k == d or shapes.same(source.shape[k], at.shape[k]):
            continue
        if not (isinstance(at.shape[k], int) and isinstance(source.shape[k], int) and at.shape[k] < source.shape[k]):  # type: ignore[operator]
            detail = f"agree in dimension {k}"
            raise _mismatch(
                tracer, "gather", source.shape, at.shape, detail, "expand the index to the shape of the value"
            )
        x = narrow(tracer, x, k, 0, at.shape[k], 1)  # type: ignore[arg-type]
    if shapes.is_one(tracer.value(x).shape[d]):
        return _replaced(tracer, x, d, at.dims[d])
    return gather(tracer, x, d, index)


def take_along_dim(tracer: Tracer, x: TileTensor, index: TileTensor, dim: int | None = None) -> TileTensor:
    """`torch.take_along_dim`: a gather whose other dims broadcast."""
    if dim is None:
        return gather(tracer, x.reshape(-1), 0, index.reshape(-1))
    d = shapes.dim_number(dim, x.dim(), "take_along_dim")
    shape, own = list(index.shape), list(x.shape)
    return _gather(
        tracer, x.expand([*shape[:d], own[d], *shape[d + 1 :]]), d, index.expand([*own[:d], shape[d], *own[d + 1 :]])
    )


def _mismatch(tracer: Tracer, op: str, a: Sequence[Size], b: Sequence[Size], relation: str, hint: str) -> exc.Base:
    return exc.ShapeMismatch(
        op=op,
        left=tracer.show(a),
        right=tracer.show(b),
        relation=relation,
        detail="",
        help=hint,
        location=location.here(),
    )


@handles(aten.index_select.default)
def index_select(tracer: Tracer, x: TileTensor, dim: int, index: TileTensor) -> TileTensor:
    return take(
        tracer, x, shapes.dim_number(dim, x.dim(), "index_select"), index.reshape(-1) if index.dim() == 0 else index
    )


def index_by_value(tracer: Tracer, x: TileTensor, dim: int, index: TileTensor) -> TileTensor:
    """`x[:, index]`: the dims of an integer `index` in place of dim `dim`."""
    shape = list(index.shape)
    flat = index.reshape([-1]) if index.dim() != 1 else index
    size = _fixed(tracer, x, dim, "an index tensor")
    flat = torch.where(flat < 0, flat + size, flat)
    taken = take(tracer, x, dim, flat)
    return taken if len(shape) == 1 else taken.reshape([*x.shape[:dim], *shape, *x.shape[dim + 1 :]])


# --- slices


def _fixed(tracer: Tracer, x: TileTensor, dim: int, what: str) -> int:
    """The size of a dim that must be a number."""
    size = tracer.value(x).shape[dim]
    if not isinstance(size, int):
        raise exc.InvalidArgument(
            what=f"{what} along a tiled dimension of size {tracer.show_size(size)} of a device value",
            instead="that size is chosen per config: load the part from the host tensor instead, "
            "x[tile.begin + k, ...], or select with torch.where on tile.index", location=location.here(),
        )  # fmt: skip
    return size


def narrow(tracer: Tracer, x: TileTensor, dim: int, start: int, length: int, step: int) -> TileTensor:
    """`length` lanes of dim `dim` from `start` on, every `step`th."""
    value = tracer.value(x)
    size = value.shape[dim]
    if start == 0 and step == 1 and size == length:
        return x
    is_power = isinstance(size, int) and size & (size - 1) == 0 and size not in tracer.min_lanes
    is_half = length * 2 == size and ((step == 1 and start in (0, length)) or (step == 2 and start in (0, 1)))
    if is_power and is_half:
        return halves(tracer, x, dim, interleaved=step == 2 and length > 1)[int(start != 0)]
    if length == 1:
        return _one(tracer, x, dim, start)
    return take(tracer, x, dim, lanes(tracer, length, start, step))


def _one(tracer: Tracer, x: TileTensor, dim: int, at: Any) -> TileTensor:
    """The lane `at`, by a sum over where it is: exact, and cheaper than a gather."""
    here = along(lanes(tracer, tracer.value(x).shape[dim]), x.dim(), dim) == at
    if x.dtype is torch.bool:
        return reduce(tracer, "max", cast(tracer, x & here, torch.int32), dim, True) != 0
    if x.dtype.itemsize == 1 and x.dtype.is_floating_point:
        return bitcast(tracer, _one(tracer, bitcast(tracer, x, torch.int8), dim, at), x.dtype)
    kept = torch.where(here, x, torch.zeros_like(x))
    return reduce(tracer, "sum", kept, dim, True, x.dtype)


def halves(tracer: Tracer, x: TileTensor, dim: int, interleaved: bool) -> tuple[TileTensor, TileTensor]:
    """The two halves (or the even and odd lanes) of a dim whose size is a power of two."""
    value = tracer.value(x)
    half = value.shape[dim] // 2  # type: ignore[operator]
    before, after = value.dims[:dim], value.dims[dim + 1 :]
    pair = (Dim(half), Dim(2)) if interleaved else (Dim(2), Dim(half))
    parts = tracer.emit(ir.Reshape(inputs=(value,)), (*before, *pair, *after), value.dtype)
    two = dim + interleaved
    rank = len(value.dims) + 1
    last = permute(tracer, parts, [*(k for k in range(rank) if k != two), two])
    return split(tracer, last, (*before, tracer.dim(half), *after))


def split(tracer: Tracer, x: TileTensor, dims: Sequence[Dim] | None = None) -> tuple[TileTensor, TileTensor]:
    """The two lanes of the last dim, which has size 2."""
    value = tracer.value(x)
    if value.dtype is torch.bool:
        left, right = split(tracer, cast(tracer, x, torch.int8), dims)
        return left != 0, right != 0
    if not value.dims or value.shape[-1] != 2:
        raise _mismatch(
            tracer, "split", value.shape, [2], "end in the same size", "the last dimension must have size 2"
        )
    parts = tuple(ir.Value(tuple(dims or value.dims[:-1]), value.dtype) for _ in range(2))
    tracer.record(ir.Split(inputs=(value,), results=parts))
    return tracer.wrap(parts[0]), tracer.wrap(parts[1])


def join(tracer: Tracer, a: TileTensor, b: TileTensor) -> TileTensor:
    """`torch.stack([a, b], -1)`."""
    a, b = torch.broadcast_tensors(a, b)
    dtype = torch.result_type(a, b) if a.dtype != b.dtype else a.dtype
    if dtype is torch.bool:
        return join(tracer, cast(tracer, a, torch.int8), cast(tracer, b, torch.int8)) != 0
    left, right = tracer.value(cast(tracer, a, dtype)), tracer.value(cast(tracer, b, dtype))
    dims = tuple(Dim(p.size, p.ranges | q.ranges) for p, q in zip(left.dims, right.dims, strict=True))
    return tracer.emit(ir.Join(inputs=(left, right)), (*dims, Dim(2)), dtype)


@handles(aten.slice.Tensor)
def slice_(
    tracer: Tracer, x: TileTensor, dim: int = 0, start: Any = None, end: Any = None, step: int = 1
) -> TileTensor:
    d = shapes.dim_number(dim, x.dim(), "slice")
    size = tracer.value(x).shape[d]
    whole_start = start is None or (isinstance(start, int) and start == 0)
    whole_end = end is None or (isinstance(end, int) and end >= 2**31) or shapes.same(expr_of(end), size)
    if whole_start and whole_end and step == 1:
        return x
    if not all(b is None or isinstance(b, int) for b in (start, end)):
        raise exc.InvalidArgument(
            what=f"the slice {start}:{end} of a device value", instead="slice with constants", location=location.here()
        )
    kept = range(*slice(start, end, step).indices(_fixed(tracer, x, d, f"the slice {start}:{end}")))
    if not kept:
        raise exc.InvalidArgument(
            what=f"the empty slice {start}:{end} of a device value", location=location.here(),
            instead="keep at least one element; Triton has no empty blocks",
        )  # fmt: skip
    return narrow(tracer, x, d, kept.start, len(kept), kept.step)


@handles(aten.select.int)
def select(tracer: Tracer, x: TileTensor, dim: int, at: Any) -> TileTensor:
    d = shapes.dim_number(dim, x.dim(), "select")
    size = tracer.value(x).shape[d]
    if isinstance(at, int) and at in (0, -1) and shapes.is_one(size):
        return x.squeeze(d)
    if isinstance(at, int) and at == 0:
        return _one(tracer, x, d, 0).squeeze(d)
    fixed = _fixed(tracer, x, d, f"index {at}")
    if isinstance(at, int):
        if not -fixed <= at < fixed:
            raise exc.OutOfRangeIndex(
                index=at, dim=d, tensor="value", size=fixed, low=-fixed, high=fixed - 1, location=location.here()
            )
        return narrow(tracer, x, d, at % fixed, 1, 1).squeeze(d)
    return _one(tracer, x, d, at).squeeze(d)


@handles(aten.split.Tensor)
def _split(tracer: Tracer, x: TileTensor, size: Any, dim: int = 0) -> list[TileTensor]:
    d = shapes.dim_number(dim, x.dim(), "split")
    if shapes.same(expr_of(size), tracer.value(x).shape[d]):
        return [x]
    total = _fixed(tracer, x, d, "a split")
    return _pieces(tracer, x, d, [min(size, total - at) for at in range(0, total, size)])


@handles(aten.split_with_sizes.default)
def _split_with_sizes(tracer: Tracer, x: TileTensor, sizes: Sequence[int], dim: int = 0) -> list[TileTensor]:
    d = shapes.dim_number(dim, x.dim(), "split")
    if sum(sizes) != _fixed(tracer, x, d, "a split"):
        raise _mismatch(
            tracer, "split", tracer.value(x).shape, list(sizes), "add up", "the sizes must add up to the dimension"
        )
    return _pieces(tracer, x, d, list(sizes))


@handles(aten.chunk.default)
def _chunk(tracer: Tracer, x: TileTensor, chunks: int, dim: int = 0) -> list[TileTensor]:
    d = shapes.dim_number(dim, x.dim(), "chunk")
    return _split(tracer, x, -(-_fixed(tracer, x, d, "a split") // chunks), d)


def _pieces(tracer: Tracer, x: TileTensor, dim: int, sizes: list[int]) -> list[TileTensor]:
    size = sum(sizes)
    if sizes == [size // 2] * 2 and size & (size - 1) == 0 and size not in tracer.min_lanes:
        return list(halves(tracer, x, dim, interleaved=False))
    starts = [sum(sizes[:k]) for k in range(len(sizes))]
    return [narrow(tracer, x, dim, start, length, 1) for start, length in zip(starts, sizes, strict=True)]


@handles(aten.unbind.int)
def _unbind(tracer: Tracer, x: TileTensor, dim: int = 0) -> list[TileTensor]:
    d = shapes.dim_number(dim, x.dim(), "unbind")
    size = _fixed(tracer, x, d, "unbind")
    if size == 2 and d == x.dim() - 1 and size not in tracer.min_lanes:
        return list(split(tracer, x))
    return [select(tracer, x, d, k) for k in range(size)]


# --- flips, rolls, repeats, padding


@handles(aten.flip.default)
def _flip(tracer: Tracer, x: TileTensor, dims: Sequence[int]) -> TileTensor:
    for dim in sorted({shapes.dim_number(d, x.dim(), "flip") for d in dims}):
        size = shapes.dim_extent(tracer.value(x).dims[dim])
        x = take_all(tracer, x, dim, lambda at, n=size: tracer.env.sym(n - 1) - at)  # type: ignore[misc]
    return x


def take_all(tracer: Tracer, x: TileTensor, dim: int, where: Any) -> TileTensor:
    """Every lane of dim `dim` replaced by the lane `where(position)`; lanes outside a partial tile stay outside."""
    jagged.refuse(tracer, x, dim, "moving lanes")
    old = tracer.value(x).dims[dim]
    if shapes.is_one(old.size):
        return x
    positions = tracer.emit(ir.Iota(start=0, step=1), (old,), torch.int32)
    return take(tracer, x, dim, cast(tracer, where(positions), torch.int32))


@handles(aten.roll.default)
def _roll(tracer: Tracer, x: TileTensor, shifts: Sequence[int], dims: Sequence[int] = ()) -> TileTensor:
    shifts = [shifts] if isinstance(shifts, int) else list(shifts)
    if not dims:
        if x.dim() != 1:
            return _roll(tracer, x.reshape(-1), shifts, [0]).reshape(x.shape)
        dims = [0]
    for shift, dim in zip(shifts, [dims] if isinstance(dims, int) else dims, strict=True):
        d = shapes.dim_number(dim, x.dim(), "roll")
        size = tracer.env.sym(shapes.dim_extent(tracer.value(x).dims[d]))
        x = take_all(tracer, x, d, lambda at, n=size, s=shift: torch.remainder(at - s, n))  # type: ignore[misc]
    return x


@handles(aten.repeat.default)
def _repeat(tracer: Tracer, x: TileTensor, repeats: Sequence[int]) -> TileTensor:
    for _ in range(len(repeats) - x.dim()):
        x = x.unsqueeze(0)
    for d, count in enumerate(repeats):
        if count == 1:
            continue
        size = _fixed(tracer, x, d, "repeat")
        x = take(tracer, x, d, torch.remainder(lanes(tracer, size * count), size))
    return x


@handles(aten.repeat_interleave.self_int)
def _repeat_interleave(tracer: Tracer, x: TileTensor, repeats: int, dim: int | None = None, **_: Any) -> TileTensor:
    if dim is None:
        x, dim = x.reshape(-1), 0
    d = shapes.dim_number(dim, x.dim(), "repeat_interleave")
    return take(tracer, x, d, lanes(tracer, _fixed(tracer, x, d, "repeat_interleave") * repeats) // repeats)


@handles(aten.constant_pad_nd.default)
def _constant_pad_nd(tracer: Tracer, x: TileTensor, pad: Sequence[int], value: Any = 0) -> TileTensor:
    for k in range(len(pad) // 2):
        low, high = pad[2 * k : 2 * k + 2]
        if low == high == 0:
            continue
        d = x.dim() - 1 - k
        size = _fixed(tracer, x, d, "pad")
        at = lanes(tracer, size + low + high, -low)
        inside = along((at >= 0) & (at < size), x.dim(), d)
        x = take(tracer, x, d, at.clamp(0, size - 1)).masked_fill(~inside, value)
    return x


# --- concatenation


@handles(aten.cat.default)
def _cat(tracer: Tracer, tensors: Sequence[TileTensor], dim: int = 0) -> TileTensor:
    parts = list(tensors)
    dtype = parts[0].dtype
    for part in parts[1:]:
        dtype = torch.promote_types(dtype, part.dtype)
    d = shapes.dim_number(dim, parts[0].dim(), "cat")
    parts = [cast(tracer, p, dtype) for p in parts]
    if len(parts) == 1:
        return parts[0]
    _check_cat(tracer, parts, d)
    sizes = [_fixed(tracer, p, d, "cat") for p in parts]
    if (
        len(parts) == 2
        and sizes[0] == sizes[1]
        and sizes[0] & (sizes[0] - 1) == 0
        and not {*sizes, 2 * sizes[0]} & {*tracer.min_lanes}
    ):
        return _cat_halves(tracer, parts[0], parts[1], d)
    positions = lanes(tracer, sum(sizes))
    result: TileTensor | None = None
    start = 0
    for part, size in zip(parts, sizes, strict=True):
        moved = take(tracer, part, d, (positions - start).clamp(0, size - 1))
        result = moved if result is None else torch.where(along(positions, part.dim(), d) < start, result, moved)
        start += size
    assert result is not None
    return result


def _check_cat(tracer: Tracer, parts: Sequence[TileTensor], dim: int) -> None:
    first = tracer.value(parts[0]).shape
    for part in parts[1:]:
        other = tracer.value(part).shape
        agree = len(first) == len(other) and all(
            k == dim or shapes.same(a, b) for k, (a, b) in enumerate(zip(first, other, strict=True))
        )
        if not agree:
            raise _mismatch(tracer, "cat", first, other, f"agree but for dimension {dim}", "make the other sizes equal")


def _cat_halves(tracer: Tracer, a: TileTensor, b: TileTensor, dim: int) -> TileTensor:
    """Two equal parts of a power of two each, by a join."""
    rank = a.dim()
    joined = join(tracer, a, b)
    parts = permute(tracer, joined, [*range(dim), rank, *range(dim, rank)])
    value = tracer.value(parts)
    size = value.shape[dim + 1]
    return tracer.emit(
        ir.Reshape(inputs=(value,)), (*value.dims[:dim], tracer.dim(2 * size), *value.dims[dim + 2 :]), value.dtype
    )


@handles(aten.stack.default)
def _stack(tracer: Tracer, tensors: Sequence[TileTensor], dim: int = 0) -> TileTensor:
    d = shapes.dim_number(dim, tensors[0].dim() + 1, "stack")
    if len(tensors) == 2:
        joined = join(tracer, *tensors)
        rank = joined.dim()
        return permute(tracer, joined, [*range(d), rank - 1, *range(d, rank - 1)])
    return _cat(tracer, [t.unsqueeze(d) for t in tensors], d)


# --- bits


def bitcast(tracer: Tracer, x: TileTensor, dtype: torch.dtype) -> TileTensor:
    """`x.view(dtype)` for a dtype of the same width."""
    value = tracer.value(x)
    if value.dtype == dtype:
        return x
    if value.dtype.itemsize != dtype.itemsize or torch.bool in (value.dtype, dtype):
        raise exc.DtypeMismatch(
            op="view", problem=f"{value.dtype} and {dtype} differ in width", location=location.here(),
            instead="view as a dtype of the same width, or convert with .to(dtype)",
        )  # fmt: skip
    return tracer.emit(ir.Bitcast(inputs=(value,)), value.dims, dtype)


@handles(aten.view.dtype)
def _view_dtype(tracer: Tracer, x: TileTensor, dtype: torch.dtype) -> TileTensor:
    return bitcast(tracer, x, dtype)


# --- refused


def _refused(name: str, instead: str) -> Any:
    def refuse(tracer: Tracer, *args: Any, **kwargs: Any) -> NoReturn:
        raise exc.UnsupportedOperation(
            op=f"torch operator `{name}`", reason=" on a device value", instead=instead, location=location.here()
        )

    return refuse


for _packet in ("scatter", "scatter_add", "scatter_reduce", "index_add", "index_copy", "index_put",
                "_unsafe_index_put", "index_fill",
                "masked_scatter", "put", "slice_scatter", "select_scatter", "diagonal_scatter"):  # fmt: skip
    _instead = (
        "store to a host tensor by index (`out[idx] = x`), add with hl.atomic_add(out, [idx], x), "
        "or choose with torch.where"
    )
    handles(getattr(aten, _packet))(_refused(_packet, _instead))
for _packet, _instead in {
    "mode": "sort and compare neighbours, or do it on the host", "unfold": "load overlapping tiles: x[tile + k]",
    "as_strided": "use reshape, permute and slices", "convolution": "write it as loads of shifted tiles and hl.dot",
    "_fft_r2c": "call torch.fft on the host", "_fft_c2c": "call torch.fft on the host",
    "_fft_c2r": "call torch.fft on the host",
    "max_pool2d_with_indices": "reduce shifted loads with torch.maximum", "avg_pool2d": "average shifted loads",
    "histc": "count with hl.atomic_add", "linalg_inv_ex": "call it on the host",
    "_cdist_forward": "write the distance out",
}.items():  # fmt: skip
    handles(getattr(aten, _packet))(_refused(_packet, _instead))
