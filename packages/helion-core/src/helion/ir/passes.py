"""What operations read, and the removal of those that nobody needs."""

from __future__ import annotations

from collections.abc import Iterator

from .base import Block, Dim, Op, Size, Value
from .control import For
from .memory import Access, PointIndex, SliceIndex, TileIndex
from .operations import Indices, Iota, Scalar
from .program import Program


def sizes_of(op: Op) -> Iterator[Size]:
    """Every size expression that an operation reads."""
    match op:
        case Scalar(expr=expr):
            yield expr
        case Indices(range=r, offset=offset):
            yield from (r.begin, r.end, r.width, offset)
        case Iota(start=start, step=step):
            yield from (start, step)
        case For(range=r):
            yield from (r.begin, r.end, r.width)
        case Access():
            yield from (*op.tensor.sizes, *op.tensor.strides)
            for index in op.index:
                match index:
                    case TileIndex(r, offset, _):
                        yield from (r.begin, r.end, r.width, offset)
                    case SliceIndex(r, start, _, _):
                        yield from (r.end, start)
                    case PointIndex(at):
                        yield at
        case _:
            pass
    for value in op.results:
        yield from value.shape


def dims_of(op: Op) -> Iterator[Dim]:
    """The dimensions of what an operation reads and makes, and of what it moves to or from memory."""
    for value in (*op.inputs, *op.results):
        yield from value.dims
    if isinstance(op, Access):
        yield from op.dims


def remove_dead(program: Program) -> None:
    """Drops operations whose results nobody uses and that have no effect."""
    live = {id(v) for v in program.symbols.values() if isinstance(v, Value)}
    for phase in program.phases:
        _sweep(phase.body, live)


def _sweep(block: Block, live: set[int]) -> None:
    """Keeps what is live, last operation first; `live` grows by what the kept operations read."""
    live.update(id(value) for value in block.yields)
    kept: list[Op] = []
    for op in reversed(block.ops):
        if not op.effect and not any(id(value) in live for value in op.results):
            continue
        kept.append(op)
        live.update(id(value) for value in op.inputs)
        for inner in op.blocks:
            _sweep(inner, live)
    block.ops[:] = reversed(kept)
