"""Stores of one tile loop by which its programs race: several write the same elements, and not the same values.

A store is told of where neither its index, nor its mask, nor a condition around it depends on some axis of the grid,
and its value does, or is made of what was there before. What depends on an axis is followed from value to value; what
an index that is computed from an axis amounts to is not asked: such a store is taken to be meant. Silent are further
stores of what is the same in all programs, those behind a loop that waits for an atomic operation (a lock), and axes
that have one program in this call, whatever the config. Not seen are accesses of another place, of an alias among the
arguments, and of another tile loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import sympy

from .. import exc, ir
from ..ir import Access, Block, HostTensor, Load, Op, Phase, Program, Range, Size, Store, Value
from ..location import Location

if TYPE_CHECKING:
    from ..config import Config
    from ..lower.spec import ConfigSpec
    from .storage import Memory


class Race(NamedTuple):
    """A `store` that programs along `axes`, each with its number of indices in this call, make to the same elements.

    `reads`: whether its value is made of what these held before.
    """

    store: Store
    axes: tuple[tuple[Range, Size], ...]
    reads: bool

    @property
    def place(self) -> Location:
        return Location(*self.store.line)

    def warning(self, kernel: str) -> exc.StoreRace:
        names = " and ".join(f"`{r.name}`" for r, _ in self.axes)
        tensor = self.store.tensor.source
        does = (
            f"read the same elements of `{tensor}` and write them at the same time: updates are lost"
            if self.reads
            else f"store different values to the same elements of `{tensor}`: any of them may stay"
        )
        inner = self.axes[0][0]
        loop = "hl.grid" if inner.scalar else "hl.tile"
        return exc.StoreRace(kernel=kernel, names=names, does=does, inner=inner.name, loop=loop)

    def happens(self, sizes: Mapping[Size, int]) -> bool:
        """Whether some axis has several programs under these block sizes, which are given by symbol."""
        return any(_has_several(r, extent, sizes) for r, extent in self.axes)


def happening(races: Sequence[Race], spec: ConfigSpec, configs: Sequence[Config]) -> list[Race]:
    """The races that some of `configs`, which are all that is ever used, leads to."""
    chosen = list(_block_sizes(spec, configs))
    return [race for race in races if any(map(race.happens, chosen))]


def _block_sizes(spec: ConfigSpec, configs: Sequence[Config]) -> Iterator[dict[Size, int]]:
    """Those of each config, by symbol; a config that is not legal is refused where it is to be used."""
    for config in configs:
        with suppress(exc.InvalidConfig):
            sizes = spec.normalize(config).get("block_sizes", ())
            yield {b.symbol: n for b, n in zip(spec.program.blocks, sizes, strict=True)}


def find_races(
    program: Program, memory: Mapping[HostTensor, Memory], in_this_call: Callable[[Size], Any]
) -> tuple[Race, ...]:
    """The races of `program`, in the order of their stores."""
    found: list[Race] = []
    for phase in program.phases:
        stores = [op for op in phase.body.walk() if isinstance(op, Store) and not _names_all(op, phase)]
        if stores:
            found += _races(program, phase, stores, memory, in_this_call)
    return tuple(found)


def _names_all(store: Store, phase: Phase) -> bool:
    """Whether the index holds the tile or index of each axis as it is: most stores, which need no further look."""
    tiles = {e.range for e in store.index if isinstance(e, ir.TileIndex)}
    points = {e.at for e in store.index if isinstance(e, ir.PointIndex)}
    return 0 not in store.tensor.strides and all(r in tiles or r.base in points for r in phase.ranges)


def _races(
    program: Program, phase: Phase, stores: Sequence[Store], memory: Mapping[HostTensor, Memory],
    in_this_call: Callable[[Size], Any],
) -> list[Race]:  # fmt: skip
    least: dict[Size, int] = {b.symbol: b.minimum for b in program.blocks}
    extents = [in_this_call(r.end - r.begin) for r in phase.ranges]
    several = [_has_several(r, n, least) for r, n in zip(phase.ranges, extents, strict=True)]
    if not any(several):
        return []
    flow = _Flow(program, phase, stores, memory)
    flow.walk(phase.body, 0)
    found = []
    for store in stores:
        open_axes = [k for k, many in enumerate(several) if many and not flow.decided[store] >> k & 1]
        differing = [k for k in open_axes if flow.bits(store.inputs[0]) >> k & 1]
        reads = flow.reads(store)
        axes = differing or (open_axes if reads else [])
        if axes:
            found.append(Race(store, tuple((phase.ranges[k], extents[k]) for k in axes), reads))
    return found


def _has_several(r: Range, extent: Size, sizes: Mapping[Size, int]) -> bool:
    """Whether more than one program shares an axis, as far as is known."""
    width = sizes.get(r.width, r.width)
    return not (isinstance(extent, int) and (extent <= 1 or (isinstance(width, int) and extent <= width)))


class _Flow:
    """What the values of a phase depend on, as sets of bits: one for each axis of the grid, one for what only the
    device knows (atomic operations, code of the user's own), one for each store whose place was read.

    `decided`: bits on which it depends where, and whether, a store writes.
    """

    def __init__(
        self, program: Program, phase: Phase, stores: Sequence[Store], memory: Mapping[HostTensor, Memory]
    ) -> None:
        self._symbols, self._memory = program.symbols, memory
        self._axes = {r: 1 << k for k, r in enumerate(phase.ranges)}
        self._all = (1 << len(phase.ranges)) - 1
        self._unknown = self._all + 1
        self._read = {store: self._unknown << 1 + k for k, store in enumerate(stores)}
        self._bits: dict[Value, int] = {}
        self._is_locked = False  # behind a loop that waits for other programs
        self.decided: dict[Store, int] = {}

    def bits(self, value: Value) -> int:
        return self._bits.get(value, 0)

    def reads(self, store: Store) -> bool:
        """Whether the value of `store` was made of what it overwrites."""
        return bool(self.bits(store.inputs[0]) & self._read[store])

    def _union(self, values: Sequence[Value]) -> int:
        result = 0
        for value in values:
            result |= self.bits(value)
        return result

    def _size(self, size: Size) -> int:
        result = 0
        for symbol in size.free_symbols if isinstance(size, sympy.Basic) else ():
            found = self._symbols.get(symbol)  # type: ignore[arg-type]
            if isinstance(found, Value):
                result |= self.bits(found)
            elif isinstance(found, Range):
                result |= self._range(found)
        return result

    def _range(self, r: Range) -> int:
        """Of the indices of a range: those of an inner loop run alike in all programs but for its bounds."""
        if r in self._axes:
            return self._axes[r]
        outer = r.parent or r.part_of
        return self._size(r.begin) | self._size(r.end) | (self._range(outer) if outer is not None else 0)

    def _index(self, op: Access) -> int:
        """Of where `op` reads or writes."""
        result = self.bits(op.inputs[op.base]) if op.base is not None else 0
        entries = [e for e in op.index if not isinstance(e, ir.NewAxis)]
        for entry, stride in zip(entries, op.tensor.strides, strict=True):
            if stride == 0:  # all indices are one place
                continue
            match entry:
                case ir.TileIndex(r, shift, _) | ir.SliceIndex(r, shift, _, _):
                    result |= self._range(r) | self._size(shift)
                case ir.PointIndex(at):
                    result |= self._size(at)
                case ir.ValueIndex(slot, _):
                    result |= self.bits(op.inputs[slot])
        return result

    # --- operations

    def walk(self, block: Block, conditions: int) -> None:
        """Follows the operations of `block`, whose being run depends on `conditions`."""
        for op in block.ops:
            if isinstance(op, (ir.For, ir.While)):
                self._loop(op, conditions)
            elif isinstance(op, ir.If):
                self._branch(op, conditions)
            elif isinstance(op, Store):
                self._store(op, conditions)
            elif op.results:
                result = self._result(op)
                for value in op.results:
                    self._bits[value] = result

    def _store(self, op: Store, conditions: int) -> None:
        if op in self._read:
            decided = self._index(op) | conditions
            decided |= self.bits(op.inputs[op.mask]) if op.mask is not None else 0
            unknown = self._is_locked or decided & self._unknown
            self.decided[op] = self._all if unknown else decided

    def _result(self, op: Op) -> int:
        result = self._union(op.inputs)
        match op:
            case Load():
                return result | self._index(op) | self._places_read(op)
            case ir.Atomic() | ir.CallTriton() | ir.InlineTriton() | ir.InlineAsm():
                return result | self._unknown
            case ir.Scalar(expr=expr):
                return result | self._size(expr)
            case ir.Iota(start=start, step=step):
                return result | self._size(start) | self._size(step)
            case ir.Indices(range=r, offset=offset):
                return result | self._range(r) | self._size(offset)
            case ir.Reduce(kind="sum" | "prod", dim=dim):  # the last tile may have fewer lanes than others
                for r in op.inputs[0].dims[dim].ranges:
                    result |= self._range(r)
        return result

    def _places_read(self, load: Load) -> int:
        result = 0
        for store, bit in self._read.items():
            if self._is_same(load.tensor, store.tensor) and _place(load) == _place(store):
                result |= bit
        return result

    def _is_same(self, a: HostTensor, b: HostTensor) -> bool:
        """Whether two tensors lie at the same place in the same way: they may be views made twice."""
        if a is b or a.source == b.source:
            return True
        first, second = self._memory[a], self._memory[b]
        return first.layout is not None and (first.storage, first.layout) == (second.storage, second.layout)

    def _branch(self, op: ir.If, conditions: int) -> None:
        chosen = self.bits(op.inputs[0])
        for block in op.blocks:
            self.walk(block, conditions | chosen)
        for value, a, b in zip(op.results, op.then.yields, op.orelse.yields, strict=True):
            self._bits[value] = chosen | self.bits(a) | self.bits(b)

    def _loop(self, op: ir.For | ir.While, conditions: int) -> None:
        """Goes round until what is carried depends on nothing more. How often a loop runs decides what comes out."""
        carried = [self.bits(value) for value in op.inputs]
        often = self._range(op.range) if isinstance(op, ir.For) else 0
        while True:
            before = list(carried)
            for block in op.blocks:
                self._bits.update(zip(block.params, carried, strict=True))
            if isinstance(op, ir.While):
                self.walk(op.condition, conditions)
                often |= self._union(op.condition.yields)
                self._is_locked |= bool(often & self._unknown)
            self.walk(op.body, conditions | (often if isinstance(op, ir.While) else 0))
            carried = [b | often | self.bits(y) for b, y in zip(before, op.body.yields, strict=True)]
            if carried == before:
                break
        self._bits.update(zip(op.results, carried, strict=True))


def _place(op: Access) -> tuple[Any, ...]:
    """What names the elements of an access within its tensor."""
    base = op.inputs[op.base] if op.base is not None else None
    entries = [(op.inputs[e.slot], e.dim) if isinstance(e, ir.ValueIndex) else (type(e), *e) for e in op.index]
    return (base, *entries)
