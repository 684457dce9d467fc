"""The config to use when nobody tunes: rules from the shape of the program."""

from __future__ import annotations

from .. import ir
from ..ir import BlockSize, Program
from .layout import Layout, next_power_of_two

TILE_ELEMENTS = 4096  # lanes of the largest value in a kernel without matrix products: 32 per thread at 4 warps
DOT_ROWS, DOT_DEPTH = 64, 32  # fits the shared memory of every target for every dtype, two stages deep


def _has_dot(program: Program) -> bool:
    return any(isinstance(op, ir.Dot) for op in program.ops())


def _limit(block: BlockSize) -> int:
    from .spec import largest_useful

    return largest_useful(block)


def largest_value(program: Program, sizes: dict[BlockSize, int]) -> int:
    """Lanes of the largest value of the program."""
    layout = Layout(program, sizes)
    return max(
        (_lanes(layout, value) for op in program.ops() for value in op.results), default=1
    )


def _lanes(layout: Layout, value: ir.Value) -> int:
    lanes = 1
    for size in layout.physical_shape(value):
        lanes *= size
    return lanes


def default_block_sizes(program: Program) -> dict[BlockSize, int]:
    """Block sizes that keep every value small enough: the last dimensions grow first, since they are contiguous."""
    sizes = {block: max(1, next_power_of_two(block.minimum)) for block in program.blocks}
    if _has_dot(program):
        return _dot_block_sizes(program, sizes)
    for block in reversed(program.blocks):
        while sizes[block] < _limit(block):
            grown = {**sizes, block: sizes[block] * 2}
            if largest_value(program, grown) > TILE_ELEMENTS:
                break
            sizes = grown
    return sizes


def _dot_block_sizes(program: Program, sizes: dict[BlockSize, int]) -> dict[BlockSize, int]:
    depth = {
        dim for op in program.ops() if isinstance(op, ir.Dot) for dim in [op.inputs[0].shape[-1]]
    }
    rows = {s for op in program.ops() if isinstance(op, ir.Dot) for s in (op.result.shape[-2], op.result.shape[-1])}
    for block in program.blocks:
        if block.symbol in rows:
            sizes[block] = min(_limit(block), max(sizes[block], DOT_ROWS))
        elif block.symbol in depth:
            sizes[block] = min(_limit(block), max(sizes[block], DOT_DEPTH))
    return sizes


def default_launch(program: Program, sizes: dict[BlockSize, int]) -> tuple[int, int]:
    """(num_warps, num_stages)."""
    lanes = largest_value(program, sizes)
    if _has_dot(program):
        return 4, 2
    return max(1, min(16, lanes // 512)), 2
