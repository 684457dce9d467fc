"""How much a kernel reads, writes and computes, counted over its program.

Lanes that masks switch off do not count. An elementwise operation on floats counts as one operation an element,
whichever it is (exp as add); a reduction as one for each element that enters; a product of m×k and k×n as 2·m·n·k.
Conversions, selections and integer arithmetic count as nothing. Both branches of an `if` count.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import sympy

from .. import ir
from ..ir import Access, Block, Dim, Op, Program, Range, Size, Value
from ..lower.layout import Layout

_MOVES = ("aten.where", "aten.clone", "aten.copy")
_KINDS = {"float16": "half", "bfloat16": "half", "int8": "int8", "uint8": "int8", "float64": "float64"}

_SAMPLES = 64  # tiles over which varying bounds are averaged

Loops = tuple[Range, ...]
Box = tuple[Any, ...]


@dataclass
class Work:
    """Bytes and operations of one launch.

    `read`, `written`: bytes of distinct elements; `loaded`, `stored`: bytes that all programs together ask for;
    `matrix`: operations of matrix products by kind; `vector`: other operations on floats. `notes`: where a count is a
    bound only.
    """

    read: int = 0
    written: int = 0
    loaded: int = 0
    stored: int = 0
    matrix: dict[str, int] = field(default_factory=dict)
    vector: int = 0
    notes: list[str] = field(default_factory=list)


def count(program: Program, layout: Layout, numbers: Mapping[sympy.Symbol, Any]) -> Work:
    """The work of `program` under the block sizes of `layout`; `numbers`: its host numbers in this launch."""
    counter = _Counter(program, layout, numbers)
    for phase in program.phases:
        counter.walk(phase.body, phase.ranges)
    counter.finish()
    return counter.work


class _Counter:
    def __init__(self, program: Program, layout: Layout, numbers: Mapping[sympy.Symbol, Any]) -> None:
        self._program, self._layout, self._numbers = program, layout, dict(numbers)
        self._read: dict[str, dict[Box, int]] = {}
        self._written: dict[str, dict[Box, int]] = {}
        self._tensors = {t.source: t for t in program.tensors}
        self._runs: dict[int, list[tuple[int, int]]] = {}
        self.work = Work()

    # --- sizes

    def number(self, size: Size) -> int | None:
        """`size` in this launch, where it depends on block sizes and host numbers only."""
        if isinstance(size, int):
            return size
        return self._layout.number(size.xreplace(self._numbers))

    def extent(self, r: Range) -> float:
        """How many indices a range has, on average over the tiles around it; one tile where only the device knows."""
        runs = self.runs(r)
        return sum(end - begin for begin, end in runs) / len(runs)

    def tiles(self, r: Range) -> float:
        """How many tiles, on average."""
        runs, width = self.runs(r), self.width(r)
        return sum(-(-(end - begin) // width) for begin, end in runs) / len(runs)

    def width(self, r: Range) -> int:
        return max(1, self.number(r.width) or 1)

    def runs(self, r: Range) -> list[tuple[int, int]]:
        """The (begin, end) of a range for the tiles around it that its bounds depend on: all, or some evenly spread."""
        if r.id not in self._runs:
            self._runs[r.id] = self._find_runs(r)
        return self._runs[r.id]

    def _find_runs(self, r: Range) -> list[tuple[int, int]]:
        symbols = sorted({s for size in (r.begin, r.end) for s in self._unknown(size)}, key=str)
        around = [self._program.symbols.get(s) for s in symbols]
        if len(symbols) > 2 or not all(isinstance(outer, Range) for outer in around):
            self._note(f"`{r.name}` runs as far as the device decides: one tile of it is counted")
            return [(0, self.width(r))]
        found = []
        for bases in itertools.product(*(self._bases(outer) for outer in around if isinstance(outer, Range))):
            at = dict(zip(symbols, map(sympy.Integer, bases), strict=True))
            begin, end = (
                self.number(size if isinstance(size, int) else size.xreplace(at)) for size in (r.begin, r.end)
            )
            assert begin is not None and end is not None
            found.append((begin, max(begin, end)))
        return found or [(0, 0)]

    def _unknown(self, size: Size) -> set[sympy.Symbol]:
        """The symbols that block sizes and host numbers leave in `size`."""
        if isinstance(size, int) or self.number(size) is not None:
            return set()
        return {s for s in size.free_symbols if self.number(s) is None}

    def _bases(self, r: Range) -> list[int]:
        """First indices of the tiles of a range, at most `_SAMPLES` of them, the first and the last included."""
        tiles = [
            base for begin, end in self.runs(r)[:1] + self.runs(r)[-1:] for base in range(begin, end, self.width(r))
        ]
        tiles = sorted(set(tiles))
        if len(tiles) <= _SAMPLES:
            return tiles
        return [tiles[k * (len(tiles) - 1) // (_SAMPLES - 1)] for k in range(_SAMPLES)]

    def elements(self, dims: Iterable[Dim], loops: Loops) -> int:
        """How many elements of a value with `dims` all tiles of `loops` together compute."""
        total, left = 1.0, list(loops)
        for dim in dims:
            ranges = self._independent(dim)
            for r in ranges:
                loop = _loop_of(r, left)
                if loop is not None:
                    left.remove(loop)
                if loop is not None or r.full:
                    total *= self.extent(r)
                else:
                    total *= min(self.width(r), self.extent(r))
            if not ranges:
                total *= self.number(dim.size) or 1
        return round(total * math.prod(map(self.tiles, left)))

    def _independent(self, dim: Dim) -> list[Range]:
        """The ranges whose product a dimension is; where several only mask it, one of them."""
        ranges = sorted(dim.ranges, key=lambda r: r.id)
        if len(ranges) > 1 and math.prod(map(self.width, ranges)) != self.number(dim.size):
            return ranges[:1]
        return ranges

    def _note(self, text: str) -> None:
        if text not in self.work.notes:
            self.work.notes.append(text)

    # --- operations

    def walk(self, block: Block, loops: Loops) -> None:
        for op in block.ops:
            self._count(op, loops)
            match op:
                case ir.For():
                    self.walk(op.body, (*loops, op.range))
                case ir.While():
                    self._note(f"the `while` on line {op.line[1]} is counted once")
                    self.walk(op.condition, loops)
                    self.walk(op.body, loops)
                case ir.If():
                    self.walk(op.then, loops)
                    self.walk(op.orelse, loops)

    def _count(self, op: Op, loops: Loops) -> None:
        match op:
            case Access():
                self._access(op, loops)
            case ir.Dot() | ir.DotScaled():
                self._product(op, loops)
            case ir.Reduce() | ir.Scan():
                self._vector(op.inputs[0], loops)
            case ir.Combine():
                self._vector(op.inputs[0], loops, sum(map(_is_arithmetic, op.body.walk())))
            case ir.Pointwise() if _is_arithmetic(op):
                self._vector(op.result, loops)
            case ir.CallTriton() | ir.InlineTriton() | ir.InlineAsm():
                self._note(f"the code of your own on line {op.line[1]} is not counted")

    def _vector(self, value: Value, loops: Loops, each: int = 1) -> None:
        if value.dtype.is_floating_point:
            self.work.vector += each * self.elements(value.dims, loops)

    def _product(self, op: Op, loops: Loops) -> None:
        depth = op.inputs[0].dims[-1]
        flops = 2 * self.elements((*op.result.dims, depth), loops)
        kind = _matrix_kind(op)
        self.work.matrix[kind] = self.work.matrix.get(kind, 0) + flops

    # --- memory

    def _access(self, op: Access, loops: Loops) -> None:
        elements = self.elements(op.dims, loops)
        reads, writes = not isinstance(op, ir.Store), not isinstance(op, ir.Load)
        itemsize = op.tensor.dtype.itemsize
        self.work.loaded += reads * elements * itemsize
        self.work.stored += writes * elements * itemsize
        box, distinct = self._footprint(op, loops)
        distinct = min(distinct, elements)
        for wanted, found in ((reads, self._read), (writes, self._written)):
            if wanted:
                boxes = found.setdefault(op.tensor.source, {})
                boxes[box] = max(distinct, boxes.get(box, 0))
        self._tensors.setdefault(op.tensor.source, op.tensor)

    def _footprint(self, op: Access, loops: Loops) -> tuple[Box, int]:
        """Which indices of each dimension an access touches, and how many elements that are at most."""
        if op.base is not None or any(map(self._wanders, op.index)):
            self._note(f"what line {op.line[1]} touches is known on the device only: counted as often as it is touched")
            return (id(op),), self.elements(op.dims, loops)
        box: list[Any] = []
        distinct = 1
        entries = [e for e in op.index if not isinstance(e, ir.NewAxis)]
        for entry, size, stride in zip(entries, op.tensor.sizes, op.tensor.strides, strict=True):
            key, many = self._run(entry, op, loops)
            limit = self.number(size)
            many = many if limit is None else min(many, limit)
            box.append(key)
            distinct *= 1 if stride == 0 else many
        return tuple(box), distinct

    def _wanders(self, entry: ir.Index) -> bool:
        """Whether the device decides where the indices lie."""
        match entry:
            case ir.TileIndex(r, offset, _):
                sizes: tuple[Size, ...] = (r.begin, r.end, offset)
            case ir.SliceIndex(r, start, _, _):
                sizes = (r.end, start)
            case ir.PointIndex(at):
                sizes = (at,)
            case _:
                return False
        symbols = {s for size in sizes if isinstance(size, sympy.Expr) for s in size.free_symbols}
        return any(isinstance(self._program.symbols.get(s), Value) for s in symbols)

    def _run(self, entry: ir.Index, op: Access, loops: Loops) -> tuple[Any, int]:
        """(what identifies the indices of one dimension, how many they are)."""
        match entry:
            case ir.TileIndex(r, offset, _):
                first, last = min(begin for begin, _ in self.runs(r)), max(end for _, end in self.runs(r))
                return (first, last, str(offset)), last - first
            case ir.SliceIndex(r, start, step, _):
                return (str(start), step, self.number(r.end)), round(self.extent(r))
            case ir.PointIndex(at):
                moving = [r for r in loops if isinstance(at, sympy.Expr) and r.base in at.free_symbols]
                return str(at), round(math.prod(map(self.extent, moving)))
            case ir.ValueIndex(slot, _):
                return id(op.inputs[slot]), self.elements(op.inputs[slot].dims, loops)
        raise AssertionError(entry)

    def finish(self) -> None:
        """Adds up what is touched of each tensor, never more than there is."""
        self.work.read = sum(self._touched(source, boxes) for source, boxes in self._read.items())
        self.work.written = sum(self._touched(source, boxes) for source, boxes in self._written.items())

    def _touched(self, source: str, boxes: Mapping[Box, int]) -> int:
        tensor = self._tensors[source]
        total = sum(boxes.values())
        sizes = [self.number(s) for s, stride in zip(tensor.sizes, tensor.strides, strict=True) if stride != 0]
        known = [s for s in sizes if s is not None]
        if len(known) == len(sizes):
            total = min(total, math.prod(known))
        return total * tensor.dtype.itemsize


def _at(size: Size, values: Mapping[Any, Any]) -> Size:
    return size if isinstance(size, int) else size.xreplace(values)


def _loop_of(r: Range, loops: list[Range]) -> Range | None:
    """The loop whose tiles `r` goes over, itself or what it was derived from."""
    found: Range | None = r
    while found is not None:
        if found in loops:
            return found
        found = found.parent or found.part_of
    return None


def _is_arithmetic(op: Op) -> bool:
    return isinstance(op, ir.Pointwise) and op.result.dtype.is_floating_point and not op.name.startswith(_MOVES)


def _matrix_kind(op: Op) -> str:
    """Which peak of a GPU holds for a product."""
    if isinstance(op, ir.DotScaled):
        return "float8"
    name = str(op.inputs[0].dtype).removeprefix("torch.")
    if name.startswith("float8"):
        return "float8"
    if name == "float32":
        return "tf32" if getattr(op, "precision", None) in (None, "tf32", "tf32x3") else "float32"
    return _KINDS.get(name, "half")
