"""Accesses of host tensors in device code: loads, stores and atomic updates, and how their subscripts are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sympy
import torch

from .. import exc, ir, location
from ..frontend.control import Undefined
from ..frontend.engine import DeviceLoop
from ..ir import Dim, HostTensor, NewAxis, PointIndex, SliceIndex, TileIndex, Value, ValueIndex
from . import jagged, shapes
from .host_tensors import direct_usage, host_tensor
from .hosted import hosted
from .symbols import expr_of, is_symbolic
from .values import Tile, TileTensor

if TYPE_CHECKING:
    from .tracer import Tracer


def load_scalar(tracer: Tracer, tensor: torch.Tensor, func: Any) -> TileTensor:
    """A 0-d host tensor among the operands of a device operator is read; any other is a mistake."""
    if tensor.dim() > 0:
        raise direct_usage(tracer, tensor, func)
    return load(tracer, tensor, ())


def load(
    tracer: Tracer, tensor: torch.Tensor, index: Any, mask: Any = None, *, base: Any = None, eviction: str | None = None
) -> TileTensor:
    """Records a read of `tensor[index]`; with `base`, of tensors laid out like it at those addresses."""
    host = host_tensor(tracer, tensor)
    where = resolve(tracer, host, index, 0, base)
    slot = _mask_slot(tracer, mask, where.dims, where.inputs)
    op = ir.Load(
        tensor=host, index=where.entries, dims=where.dims, mask=slot, base=where.base, inputs=tuple(where.inputs),
        number=tracer.loads, eviction=eviction or None,
    )  # fmt: skip
    tracer.loads += 1
    result = tracer.emit(op, where.dims, host.dtype, "")
    result.loaded = host
    return result


def store(tracer: Tracer, tensor: torch.Tensor, index: Any, value: Any, mask: Any = None, *, base: Any = None) -> None:
    """Records `tensor[index] = value`, broadcast and cast to the tensor."""
    host = host_tensor(tracer, tensor)
    where = resolve(tracer, host, index, 1, base)
    inputs = [stored_value(tracer, host, value, where.dims, "store"), *where.inputs]
    slot = _mask_slot(tracer, mask, where.dims, inputs)
    op = ir.Store(
        tensor=host,
        index=where.entries,
        dims=where.dims,
        mask=slot,
        base=where.base,
        inputs=tuple(inputs),
        number=tracer.stores,
    )
    tracer.stores += 1
    tracer.record(op)


def atomic(
    tracer: Tracer, kind: str, tensor: torch.Tensor, index: Any, values: Sequence[Any], sem: str, base: Any = None
) -> TileTensor:
    """Records an atomic update of `tensor[index]`; the result is what was there before."""
    host = host_tensor(tracer, tensor)
    where = resolve(tracer, host, index, len(values), base)
    stored = [stored_value(tracer, host, value, where.dims, f"atomic_{kind}") for value in values]
    inputs = [*stored, *where.inputs]
    slot = _mask_slot(tracer, None, where.dims, inputs)
    op = ir.Atomic(
        tensor=host,
        index=where.entries,
        dims=where.dims,
        mask=slot,
        base=where.base,
        inputs=tuple(inputs),
        kind=kind,
        sem=sem,
    )
    return tracer.emit(op, where.dims, host.dtype, "")


def stored_value(tracer: Tracer, host: HostTensor, value: Any, dims: Sequence[Dim], op: str) -> Value:
    """What is written, in the dtype of the tensor. Raises `ShapeMismatch` where it does not broadcast to `dims`."""
    if not isinstance(value, TileTensor):
        if isinstance(value, torch.Tensor) and not isinstance(value, Tile):
            value = load_scalar(tracer, value, torch.Tensor.__setitem__)
        elif isinstance(value, (int, float, bool, complex, torch.SymInt, torch.SymFloat, torch.SymBool)):
            value = tracer.full((), value, host.dtype)
        elif isinstance(value, Undefined):
            value._use()
        else:
            parts = isinstance(value, tuple)
            raise exc.InvalidArgument(
                what=f"storing a tuple of {len(value)}" if parts else f"storing a {type(value).__name__}",
                instead="store one of its parts: a, b = value" if parts else "store a device value or a number",
                location=location.here(),
            )  # fmt: skip
    stored = tracer.value(value)
    merged = shapes.broadcast(op, [tuple(dims), stored.dims], tracer.show_size)
    if len(merged) != len(dims) or not all(shapes.same(a.size, b.size) for a, b in zip(merged, dims, strict=True)):
        raise exc.ShapeMismatch(
            op=op, left=tracer.show(stored.shape), right=tracer.show([d.size for d in dims]), relation="agree",
            detail=f" (the value against `{host.name}[...]`)", location=location.here(),
            help="the stored value must broadcast to the shape of the subscript",
        )  # fmt: skip
    return tracer.value(value.to(host.dtype))


def _mask_slot(tracer: Tracer, mask: Any, dims: Sequence[Dim], inputs: list[Value]) -> int | None:
    inside = jagged.inside(tracer, dims) if tracer.jagged else None
    if inside is not None:
        mask = inside if mask is None else mask & inside
    if mask is None:
        return None
    if not isinstance(mask, TileTensor):
        if not isinstance(mask, (bool, int)) and not is_symbolic(mask):
            raise exc.InvalidArgument(
                what=f"{tracer.describe(mask)} as a mask", instead="give a bool value of the device"
            )
        mask = tracer.scalar(mask, torch.bool) if is_symbolic(mask) else tracer.full((), bool(mask), torch.bool)
    value = tracer.value(mask if mask.dtype is torch.bool else mask != 0)
    merged = shapes.broadcast("mask", [tuple(dims), value.dims], tracer.show_size)
    if len(merged) != len(dims) or not all(shapes.same(a.size, b.size) for a, b in zip(merged, dims, strict=True)):
        raise exc.ShapeMismatch(
            op="mask", left=tracer.show(value.shape), right=tracer.show([d.size for d in dims]), relation="agree",
            detail=" (the mask against the access)", help="the mask must broadcast to the shape of the subscript",
            location=location.here(),
        )  # fmt: skip
    inputs.append(value)
    return len(inputs) - 1


def _entries(tracer: Tracer, host: HostTensor, index: Any) -> list[Any]:
    """The subscript as one entry per dimension (and None), with `...` and missing dimensions filled in."""
    entries = list(index) if isinstance(index, (tuple, list)) else [index]
    rank = len(host.sizes)
    given = sum(e is not None and e is not Ellipsis for e in entries)
    if given > rank:
        raise exc.RankMismatch(tensor=host.name, rank=shapes.dimensions(rank), given=given, location=location.here())
    missing = [slice(None)] * (rank - given)
    dots = [k for k, e in enumerate(entries) if e is Ellipsis]
    if len(dots) > 1:
        raise exc.InvalidIndexing(what="more than one `...`", instead="write it once", location=location.here())
    if dots:
        entries[dots[0] : dots[0] + 1] = missing
        return entries
    return entries + missing


@dataclass
class Resolved:
    """A subscript: IR indices, the device values among them (and the slot of base addresses), the dims of the
    access.
    """

    entries: tuple[ir.Index, ...]
    inputs: list[Value]
    dims: tuple[Dim, ...]
    base: int | None


class _Groups:
    """The dims of an access while it is resolved: one group per entry, but index vectors that broadcast share one."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._groups: list[tuple[Dim, ...]] = []
        self._joint: int | None = None

    def add(self, dims: Sequence[Dim]) -> int:
        self._groups.append(tuple(dims))
        return len(self._groups) - 1

    def add_vector(self, dims: tuple[Dim, ...]) -> int:
        """Index vectors broadcast where their shapes line up, else form a product."""
        together = self._joint is not None and _lines_up(self._groups[self._joint], dims)
        if self._joint is not None:
            self._tracer.places.products.setdefault(location.site(), []).append(not together)
        if self._joint is not None and together:
            operands = [self._groups[self._joint], dims]
            self._groups[self._joint] = shapes.broadcast("subscript", operands, self._tracer.show_size)
            return self._joint
        group = self.add(dims)
        self._joint = group if self._joint is None else self._joint
        return group

    def position(self, group: int, rank: int) -> int:
        """Where an entry of `rank` dims stands: at the end of its group."""
        return sum(map(len, self._groups[: group + 1])) - rank

    def dims(self) -> tuple[Dim, ...]:
        return tuple(dim for group in self._groups for dim in group)


def _lines_up(a: Sequence[Dim], b: Sequence[Dim]) -> bool:
    pairs = zip(reversed(a), reversed(b), strict=False)
    return all(shapes.same(p.size, q.size) or shapes.is_one(p.size) or shapes.is_one(q.size) for p, q in pairs)


def resolve(tracer: Tracer, host: HostTensor, index: Any, first_slot: int, base: Any = None) -> Resolved:
    """Reads a subscript of `host`; input slots start at `first_slot`. With `base` addresses, their dims lead."""
    groups = _Groups(tracer)
    inputs: list[Value] = []
    if base is not None:
        inputs.append(tracer.value(base))
        groups.add(inputs[0].dims)
    made: list[tuple[Any, int, int]] = []  # an index from its position, its group, its rank
    dimension = 0
    for entry in _entries(tracer, host, index):
        if entry is None:
            groups.add((Dim(1),))
            made.append((lambda _: NewAxis(), 0, 0))
            continue
        where = (tracer, host, dimension, host.sizes[dimension])
        dimension += 1
        if isinstance(entry, Tile):
            tile = _tile_entry(*where, entry, 0)
            group = groups.add((Dim(entry.range.width, frozenset({entry.range})),))
            made.append((lambda at, e=tile: e._replace(dim=at), group, 1))
        elif isinstance(entry, slice):
            part, dim = _slice_entry(*where, entry, 0)
            made.append((lambda at, e=part: e._replace(dim=at), groups.add((dim,)), 1))
        elif isinstance(entry, torch.Tensor):
            value = _index_value(tracer, entry)
            slot, rank = first_slot + len(inputs), len(value.dims)
            inputs.append(value)
            group = groups.add_vector(value.dims) if rank else 0
            made.append((lambda at, s=slot: ValueIndex(s, at), group, rank))
        else:
            point = _point_entry(*where, entry)
            made.append((lambda _, e=point: e, 0, 0))
    entries = tuple(make(groups.position(group, rank) if rank else 0) for make, group, rank in made)
    return Resolved(entries, inputs, groups.dims(), None if base is None else first_slot)


def _index_value(tracer: Tracer, entry: torch.Tensor) -> Value:
    """The value of an integer index tensor."""
    if not isinstance(entry, TileTensor):
        entry = load_scalar(tracer, entry, torch.Tensor.__getitem__)
    value = tracer.value(entry)
    if value.dtype is torch.bool:
        raise exc.DataDependentShape(op="a boolean mask as an index", location=location.here())
    if value.dtype.is_floating_point:
        raise exc.InvalidIndexing(
            what=f"a {value.dtype} value", instead="use integers, such as x.to(torch.int64)", location=location.here()
        )
    return value


def _tile_entry(tracer: Tracer, host: HostTensor, dimension: int, size: Any, tile: Tile, at: int) -> TileIndex:
    end = tile.range.end
    if tile.offset == 0 and _exceeds(tracer, end, size):
        raise exc.TileSizeMismatch(
            tile=tile.range.name, end=tracer.in_this_call(end), dim=dimension, tensor=host.name,
            size=tracer.in_this_call(size), shape=tracer.show(list(map(tracer.in_this_call, host.sizes))),
            location=location.here(),
        )  # fmt: skip
    return TileIndex(tile.range, tile.offset, at)


def _exceeds(tracer: Tracer, end: Any, size: Any) -> bool:
    """Whether a tile may run over the end of a dimension: asked once, for all calls alike."""
    if isinstance(end, int) and isinstance(size, int):
        return end > size
    if tracer.env.is_device(end) or tracer.env.is_device(size) or not tracer.env.size_symbols:
        return False
    return not (shapes.same(end, size) if tracer.agree(end, size) else tracer.env.asks(end <= size))


def _slice_entry(
    tracer: Tracer, host: HostTensor, dimension: int, size: Any, entry: slice, at: int
) -> tuple[SliceIndex, Dim]:
    if entry == slice(None):
        dim = tracer.dim(size)
        return SliceIndex(tracer.full_range(size), 0, 1, at), dim
    size = tracer.fixed(size)
    bounds = [entry.start, entry.stop, entry.step]
    if not all(b is None or (isinstance(b, int) and not isinstance(b, bool)) for b in bounds) or not isinstance(
        size, int
    ):
        raise exc.InvalidIndexing(
            what=f"the slice {entry.start}:{entry.stop}", location=location.here(),
            instead="slice with constants, or loop over hl.tile(begin, end)",
        )  # fmt: skip
    if entry.step is not None and entry.step <= 0:
        raise exc.InvalidIndexing(
            what="a slice with a negative step", instead="use torch.flip", location=location.here()
        )
    start, stop, step = entry.indices(size)
    length = len(range(start, stop, step))
    return SliceIndex(tracer.full_range(length), start, step, at), tracer.dim(length)


def _check_index(host: HostTensor, dimension: int, size: int, index: int) -> None:
    if not -size <= index < size:
        raise exc.OutOfRangeIndex(
            index=index, dim=dimension, tensor=host.name, size=size, low=-size, high=size - 1, location=location.here()
        )


def _point_entry(tracer: Tracer, host: HostTensor, dimension: int, size: Any, entry: Any) -> PointIndex:
    if isinstance(entry, bool) or not isinstance(entry, (int, torch.SymInt)):
        if isinstance(entry, (Undefined, DeviceLoop)):
            entry.__iter__()  # raises the error of its own
        unpack = ": unpack a tuple of tiles, `for a, b in hl.tile([m, n])`, or name one, tiles[0]"
        raise exc.InvalidIndexing(
            what=tracer.describe(entry), instead="index with tiles, integers, slices, None or integer device values"
            + (unpack if isinstance(entry, tuple) else ""),
        )  # fmt: skip
    at = expr_of(entry)
    if isinstance(at, int) and isinstance(size, int):
        _check_index(host, dimension, size, at)
        at %= size
    elif isinstance(at, sympy.Expr) and isinstance(size, int) and at.free_symbols <= tracer.host_scalars.keys():
        # a number of the caller's: whether it counts from the end is part of what the kernel is specialised on
        if not -size <= entry < size:
            _check_index(host, dimension, size, int(entry))
        at = hosted(tracer, at if entry >= 0 else size + at)
    elif isinstance(at, int) and not tracer.env.is_device(size):
        if not tracer.env.asks(at < size if at >= 0 else -at <= size):
            found = tracer.in_this_call(size)
            raise exc.OutOfRangeIndex(
                index=at, dim=dimension, tensor=host.name, size=found, low=-found, high=found - 1,
                location=location.here(),
            )  # fmt: skip
        at = at if at >= 0 else size + at
    elif isinstance(at, int) and at < 0:
        at = size + at
    return PointIndex(at)
