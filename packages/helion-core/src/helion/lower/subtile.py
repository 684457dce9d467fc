"""Sub-tiling the epilogue: what follows the main loop of a matrix product, done for parts of its columns one after
the other.

The accumulator is split along its last dimension, and the elementwise operations, loads and stores behind the loop
are repeated for each part: fewer live registers, and stores of smaller blocks.

Before: a traced (or rolled) program. After: the same values, with the columns behind the loop in `parts` ranges.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import sympy
from torch.utils._sympy.functions import FloorDiv

from .. import ir
from ..ir import Access, Block, BlockSize, Dim, Op, Phase, Program, Range, TileIndex, Value
from .layout import Layout

PARTS = (None, 2, 4)
_ELEMENTWISE = (ir.Full, ir.Pointwise, ir.Cast, ir.Bitcast, ir.Load, ir.Store)
_NARROWEST = 16  # lanes of a part


def columns(program: Program) -> Range | None:
    """The range of the columns that may be sub-tiled, or None: a single loop nest, one accumulating loop, a plain
    epilogue.
    """
    if len(program.phases) != 1:
        return None
    (phase,) = program.phases
    loop = _main_loop(phase)
    if loop is None:
        return None
    for result in loop.results:
        r = _last_range(result)
        if r is not None and r in phase.ranges and _epilogue_allows(program, phase, loop, r):
            return r
    return None


def _main_loop(phase: Phase) -> ir.For | None:
    """The only loop of the body, if it multiplies matrices."""
    loops = [op for op in phase.body.ops if op.blocks]
    if len(loops) != 1 or not isinstance(loops[0], ir.For):
        return None
    return loops[0] if any(isinstance(op, (ir.Dot, ir.DotScaled)) for op in loops[0].body.walk()) else None


def _last_range(value: Value) -> Range | None:
    if len(value.dims) < 2 or len(value.dims[-1].ranges) != 1:
        return None
    (r,) = value.dims[-1].ranges
    return r


def _along(value: Value, r: Range) -> list[int]:
    return [at for at, dim in enumerate(value.dims) if r in dim.ranges]


def _touches(op: Op, r: Range) -> bool:
    return any(_along(v, r) for v in (*op.inputs, *op.results)) or (
        isinstance(op, Access) and any(r in dim.ranges for dim in op.dims)
    )


def _epilogue(phase: Phase, loop: ir.For) -> Sequence[Op]:
    return phase.body.ops[phase.body.ops.index(loop) + 1 :]


def _epilogue_allows(program: Program, phase: Phase, loop: ir.For, r: Range) -> bool:
    if not isinstance(r.width, sympy.Symbol) or not isinstance(program.symbols.get(r.width), BlockSize):
        return False
    after = _epilogue(phase, loop)
    touching = [op for op in after if _touches(op, r)]
    if not any(isinstance(op, ir.Store) for op in touching):
        return False
    own = {v for op in after for v in op.results}
    symbols = {r.base, r.width}
    for op in after:
        mentions = [
            s for s in _scalar_sizes(op) if isinstance(s, sympy.Basic) and not symbols.isdisjoint(s.free_symbols)
        ]
        if mentions:
            return False
    return all(_op_allows(op, r, own) for op in touching)


def _scalar_sizes(op: Op) -> list[Any]:
    """Size expressions of an operation other than its shape and tiles."""
    match op:
        case ir.Scalar(expr=expr):
            return [expr]
        case Access(index=index):
            points = [e.at for e in index if isinstance(e, ir.PointIndex)]
            return points + [e.offset for e in index if isinstance(e, TileIndex)]
        case ir.Indices(range=r, offset=offset):
            return [r.base, offset]
        case _:
            return []


def _op_allows(op: Op, r: Range, own: set[Value]) -> bool:
    for value in (*op.inputs, *op.results):
        along = _along(value, r)
        if len(along) > 1 or any(value.dims[at].size != r.width or len(value.dims[at].ranges) > 1 for at in along):
            return False
        if along and value not in own and along != [len(value.dims) - 1]:
            return False
    if isinstance(op, ir.Reshape):
        return [d for d in op.inputs[0].dims if d.size != 1] == [d for d in op.result.dims if d.size != 1]
    if isinstance(op, ir.Expand):
        return bool(_along(op.inputs[0], r)) == bool(_along(op.result, r))
    return isinstance(op, _ELEMENTWISE)


def subtile(program: Program, parts: int, layout: Layout) -> Program:
    """`program` with its epilogue in `parts`; unchanged where the parts would be too narrow."""
    r = columns(program)
    width = layout.number(r.width) if r is not None else None
    if r is None or width is None or width // parts < _NARROWEST:
        return program
    (phase,) = program.phases
    loop = _main_loop(phase)
    assert loop is not None
    body = Block(phase.body.parent, phase.body.params, [], phase.body.yields)
    body.ops = _Splitter(r, parts, body).ops(phase.body.ops, _epilogue(phase, loop))
    return dataclasses.replace(program, phases=[dataclasses.replace(phase, body=body)])


class _Splitter:
    """Splits one epilogue along `whole`."""

    def __init__(self, whole: Range, parts: int, body: Block) -> None:
        self.whole, self.parts, self.body = whole, parts, body
        step = FloorDiv(whole.width, parts)
        self.ranges = [
            dataclasses.replace(
                whole, name=f"{whole.name}_{k}", width=step, base=whole.base + k * step, parent=whole, part_of=whole,
                id=ir.next_range_id(),
            )
            for k in range(parts)
        ]  # fmt: skip
        self.split: dict[Value, list[Value]] = {}

    def ops(self, ops: Sequence[Op], after: Sequence[Op]) -> list[Op]:
        touching = [op for op in after if _touches(op, self.whole)]
        rest = [op for op in after if op not in touching]
        own = {v for op in touching for v in op.results}
        result = [*ops[: len(ops) - len(after)], *rest]
        for value in dict.fromkeys(v for op in touching for v in op.inputs if v not in own and _along(v, self.whole)):
            result += self._halve(value)
        for k in range(self.parts):
            values: dict[Value, Value] = {v: parts[k] for v, parts in self.split.items()}
            result += [self._again(op, k, values) for op in touching]
        return result

    def _dims(self, dims: tuple[Dim, ...], k: int) -> tuple[Dim, ...]:
        r = self.ranges[k]
        return tuple(Dim(r.width, frozenset({r})) if self.whole in d.ranges else d for d in dims)

    def _again(self, op: Op, k: int, values: dict[Value, Value]) -> Op:
        results = tuple(Value(self._dims(v.dims, k), v.dtype, v.hint, self.body) for v in op.results)
        inputs = tuple(values.get(v, v) for v in op.inputs)
        values.update(zip(op.results, results, strict=True))
        changed: dict[str, Any] = {}
        if isinstance(op, Access):
            index = tuple(
                e._replace(range=self.ranges[k]) if isinstance(e, TileIndex) and e.range is self.whole else e
                for e in op.index
            )
            changed = {"index": index, "dims": self._dims(op.dims, k)}
        return dataclasses.replace(op, inputs=inputs, results=results, **changed)

    def _halve(self, value: Value) -> list[Op]:
        """Operations that split `value` into parts along its last dim, by halving it over and over."""
        ops: list[Op] = []
        pieces = [value]
        while len(pieces) < self.parts:
            lanes = FloorDiv(self.whole.width, 2 * len(pieces))
            last = len(pieces) * 2 == self.parts
            halves = []
            for piece in pieces:
                outer = piece.dims[:-1]
                rank = len(outer)
                pair = Value((*outer, Dim(2), Dim(lanes)), value.dtype, "", self.body)
                turned = Value((*outer, Dim(lanes), Dim(2)), value.dtype, "", self.body)
                new = tuple(Value((*outer, Dim(lanes)), value.dtype, value.hint, self.body) for _ in range(2))
                ops += [
                    ir.Reshape(inputs=(piece,), results=(pair,)),
                    ir.Permute(order=(*range(rank), rank + 1, rank), inputs=(pair,), results=(turned,)),
                    ir.Split(inputs=(turned,), results=new),
                ]
                halves += new
            pieces = halves
            if last:
                for k, piece in enumerate(pieces):
                    piece.dims = (*piece.dims[:-1], Dim(self.ranges[k].width, frozenset({self.ranges[k]})))
        self.split[value] = pieces
        return ops
