"""The loops of a program, in the order in which configuration keys count them."""

from __future__ import annotations

from .. import ir
from ..ir import For, Phase, Program
from .interchange import can_interchange


def device_loops(program: Program) -> list[For]:
    """Loops inside the kernel: the entries of `range_*`."""
    return [op for op in program.ops() if isinstance(op, For)]


def has_constant_bounds(loop: For) -> bool:
    """Whether the trip count is known once block sizes are: the loop may be unrolled."""
    return isinstance(loop.range.begin, int) and isinstance(loop.range.end, int)


def constant_loops(program: Program) -> list[For]:
    """The entries of `static_ranges`."""
    return [loop for loop in device_loops(program) if has_constant_bounds(loop)]


def multiplying_loops(program: Program) -> list[For]:
    """Loops around a matrix product: the entries of `range_multi_buffers`."""
    return [
        loop for loop in device_loops(program) if any(isinstance(op, (ir.Dot, ir.DotScaled)) for op in loop.body.walk())
    ]


def multi_dim_loops(program: Program) -> list[Phase | For]:
    """Multi-dimensional tile loops in program order, those of the grid and nested ones: the entries of
    `loop_orders`.
    """
    found: list[Phase | For] = []
    for phase in program.phases:
        if len(phase.ranges) > 1:
            found.append(phase)
        found += [op for op in phase.body.walk() if isinstance(op, For) and op.nest > 1 and can_interchange(op)]
    return found


def dims_of(loop: Phase | For) -> int:
    """How many dimensions a tile loop has."""
    return len(loop.ranges) if isinstance(loop, Phase) else loop.nest
