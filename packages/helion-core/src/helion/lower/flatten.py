"""Flattening: the tiles of a multi-dimensional loop as runs of one index over all its elements.

Possible where every value is a function of the coordinates of its lane alone: loads, stores and elementwise
operations. A value of any of the loop's dims becomes a vector over the flat index, so broadcasts, transposes and unit
dims disappear.

Before: a traced program. After: the same, with one range in the place of the ranges of each flattened loop.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, ClassVar

import sympy

from .. import ir
from ..ir import (
    Access,
    Block,
    BlockSize,
    Dim,
    HostTensor,
    Op,
    Phase,
    Program,
    Range,
    Size,
    TileIndex,
    Value,
    ValueIndex,
)

_ELEMENTWISE = (ir.Full, ir.Pointwise, ir.Cast, ir.Bitcast)
_RESHAPING = (ir.Reshape, ir.Expand, ir.Permute)


@dataclasses.dataclass(eq=False, kw_only=True)
class Coordinate(Op):
    """`index // divisor % modulus` of every lane of `range`: its place along one of the flattened dimensions."""

    effect: ClassVar[bool] = False
    range: Range
    divisor: Size
    modulus: Size | None


@dataclasses.dataclass(eq=False)
class FlatView(HostTensor):
    """A tensor whose flattened dimensions lie one behind the other in memory, as one dimension."""

    origin: HostTensor | None = None


def can_flatten(program: Program, phase: Phase) -> bool:
    """Whether the loop of `phase` may be flattened."""
    ranges = set(phase.ranges)
    if len(ranges) < 2 or any(r.begin != 0 or r.scalar or r.extra_ends for r in ranges):
        return False
    blocks = [program.symbols.get(r.width) if isinstance(r.width, sympy.Symbol) else None for r in phase.ranges]
    if not all(isinstance(b, BlockSize) for b in blocks) or len(set(blocks)) != len(blocks):
        return False
    return all(_op_allows(op, phase, ranges) for op in phase.body.ops) and not _used_elsewhere(program, phase)


def _used_elsewhere(program: Program, phase: Phase) -> bool:
    """Whether another loop tiles by one of these block sizes, or a size outside the accesses speaks of a tile."""
    widths = {r.width for r in phase.ranges}
    return any(r.width in widths for other in program.phases if other is not phase for r in other.ranges)


def _op_allows(op: Op, phase: Phase, ranges: set[Range]) -> bool:
    for value in (*op.inputs, *op.results):
        seen = [r for dim in value.dims for r in dim.ranges]
        if len(set(seen)) != len(seen) or not ranges.issuperset(seen):
            return False
        if any(dim.size != 1 and len(dim.ranges) != 1 for dim in value.dims):
            return False
    symbols = {s for r in ranges for s in (r.base, r.width)}
    match op:
        case ir.Load() | ir.Store():
            return op.base is None and all(_entry_allows(e, op, symbols, ranges, d) for d, e in enumerate(_entries(op)))
        case ir.Reshape(inputs=(source,), results=(result,)):
            return [d for d in source.dims if d.size != 1] == [d for d in result.dims if d.size != 1]
        case ir.Expand() | ir.Permute():
            return True
        case ir.Indices(range=r, offset=offset):
            return r in ranges and offset == 0
        case ir.Scalar(expr=expr):
            return not _mentions(expr, symbols)
        case _:
            return isinstance(op, _ELEMENTWISE)


def _entries(op: Access) -> list[ir.Index]:
    return [e for e in op.index if not isinstance(e, ir.NewAxis)]


def _entry_allows(entry: ir.Index, op: Access, symbols: set[Any], ranges: set[Range], dimension: int) -> bool:
    match entry:
        case TileIndex(r, offset, _):
            size = op.tensor.sizes[dimension]
            inside = r.end == size or (isinstance(r.end, int) and isinstance(size, int) and r.end <= size)
            return r in ranges and offset == 0 and inside
        case ir.PointIndex(at):
            return not _mentions(at, symbols)
        case ValueIndex():
            return True
        case _:
            return False


def _mentions(size: Size, symbols: set[Any]) -> bool:
    return isinstance(size, sympy.Basic) and not symbols.isdisjoint(size.free_symbols)


def flatten(program: Program, phase: Phase) -> Program:
    """`program` with the loop of `phase` flattened."""
    ends: list[Size] = [r.end for r in phase.ranges]
    base = sympy.Symbol(f"base_flat_{phase.loop}", integer=True)
    width = sympy.Mul(*(sympy.sympify(r.width) for r in phase.ranges))
    flat = Range(name="flat", begin=0, end=_product(ends), width=width, base=base)
    flattener = _Flattener(phase, flat)
    new = dataclasses.replace(phase, ranges=(flat,), body=flattener.block())
    phases = [new if p is phase else p for p in program.phases]
    return dataclasses.replace(program, phases=phases, symbols={**program.symbols, base: flat})


def _product(sizes: Sequence[Size]) -> Size:
    if all(isinstance(s, int) for s in sizes):
        return math.prod(sizes)  # type: ignore[arg-type]
    return sympy.Mul(*map(sympy.sympify, sizes))


class _Flattener:
    """Rewrites one loop body over `flat`."""

    def __init__(self, phase: Phase, flat: Range) -> None:
        self.phase, self.flat = phase, flat
        self.dims = (Dim(flat.width, frozenset({flat})),)
        self.body = Block(phase.body.parent, phase.body.params)
        self.values: dict[Value, Value] = {}
        self.coordinates: dict[Range, Value] = {}

    def block(self) -> Block:
        for op in self.phase.body.ops:
            if isinstance(op, _RESHAPING):
                self.values[op.result] = self.values[op.inputs[0]]
            elif isinstance(op, ir.Indices):
                self.body.ops.append(self._renamed(self._coordinate_op(op.range, op.offset), op.results))
            else:
                self.body.ops.append(self._again(op))
        return self.body

    def _renamed(self, op: Op, results: tuple[Value, ...]) -> Op:
        return dataclasses.replace(op, results=tuple(map(self._value, results)))

    def _value(self, old: Value) -> Value:
        """The flat value for `old`; scalars stay scalars."""
        dims = self.dims if any(d.size != 1 for d in old.dims) else ()
        new = self.values[old] = Value(dims, old.dtype, old.hint, self.body)
        return new

    def _again(self, op: Op) -> Op:
        inputs = tuple(self.values[v] for v in op.inputs)
        changed: dict[str, Any] = {}
        if isinstance(op, Access):
            changed, extra = self._access(op)
            inputs = (*inputs, *extra)
        results = tuple(map(self._value, op.results))
        return dataclasses.replace(op, inputs=inputs, results=results, **changed)

    def _access(self, op: Access) -> tuple[dict[str, Any], list[Value]]:
        """Changed fields of an access, and the coordinates it reads."""
        dims = self.dims if any(d.size != 1 for d in op.dims) else ()
        view = self._view(op)
        if view is not None:
            return {"tensor": view, "index": (TileIndex(self.flat, 0, 0),), "dims": self.dims}, []
        extra: list[Value] = []
        index: list[ir.Index] = []
        for entry in _entries(op):
            if isinstance(entry, TileIndex):
                index.append(ValueIndex(len(op.inputs) + len(extra), 0))
                extra.append(self._coordinate(entry.range))
            elif isinstance(entry, ValueIndex):
                index.append(ValueIndex(entry.slot, 0))
            else:
                index.append(entry)
        return {"index": tuple(index), "dims": dims}, extra

    def _view(self, op: Access) -> FlatView | None:
        """The tensor as one run, where the access goes through it in the order of memory."""
        tensor, entries = op.tensor, _entries(op)
        if [e.range for e in entries if isinstance(e, TileIndex)] != list(self.phase.ranges) or len(entries) != len(
            self.phase.ranges
        ):
            return None
        expected = tensor.strides[-1]
        for size, stride, r in zip(
            reversed(tensor.sizes), reversed(tensor.strides), reversed(self.phase.ranges), strict=True
        ):
            if stride != expected or (size != r.end and r is not self.phase.ranges[0]):
                return None
            expected = stride * r.end
        total = _product(tensor.sizes)
        return FlatView(
            tensor.name, tensor.source, tensor.dtype, (total,), (tensor.strides[-1],), tensor.phase, tensor.borrowed,
            origin=tensor,
        )  # fmt: skip

    def _coordinate_op(self, r: Range, offset: Size = 0) -> Coordinate:
        at = self.phase.ranges.index(r)
        divisor = _product([s.end for s in self.phase.ranges[at + 1 :]]) if at + 1 < len(self.phase.ranges) else 1
        assert offset == 0, "shifted indices are not flattened"
        return Coordinate(range=self.flat, divisor=divisor, modulus=r.end if at > 0 else None)

    def _coordinate(self, r: Range) -> Value:
        found = self.coordinates.get(r)
        if found is None:
            import torch

            found = self.coordinates[r] = Value(
                self.dims, torch.int32, f"index_{r.name.removeprefix('tile_')}", self.body
            )
            self.body.ops.append(dataclasses.replace(self._coordinate_op(r), results=(found,)))
        return found
