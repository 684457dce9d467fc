"""Bounds, block sizes and ranges of tile loops, and what their `for` targets receive."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import sympy

from .. import exc, location
from ..ir import BlockSize, Range, Size
from ..language.loops import TileLoop
from .jagged import JaggedLoop
from .values import Tile

if TYPE_CHECKING:
    from .tracer import Tracer


class GridLoop(TileLoop):
    """Bounds of an `hl.grid` loop, or of a `range` over device bounds: scalar indices, with a step per dimension."""

    steps: list[Any]


def tile_loop(tracer: Tracer, loop: TileLoop) -> TileLoop:
    """Checks and completes what `hl.tile` was given; block sizes are numbered here, in program order."""
    begins = [tracer.size_of(b) for b in loop.begins]
    ends = [tracer.size_of(e) for e in loop.ends]
    blocks: list[Any] = []
    for begin, end, given in zip(begins, ends, loop.blocks, strict=True):
        extent = end - begin if not (tracer.env.is_device(begin) or tracer.env.is_device(end)) else None
        blocks.append(_block_for(tracer, given, extent))
    result = type(loop)(loop.function, begins, ends, blocks, loop.single)
    return result


def _block_for(tracer: Tracer, given: Any, extent: Size | None) -> BlockSize | int:
    if given is None:
        return tracer.new_block(extent)
    size = tracer.fixed(tracer.size_of(given))
    if isinstance(size, int):
        if size < 1:
            raise exc.InvalidArgument(what=f"block size {size}", instead="give a positive int")
        return size
    found = tracer.symbols.get(size) if isinstance(size, sympy.Symbol) else None
    if not isinstance(found, BlockSize):
        raise exc.InvalidArgument(
            what=f"block size {tracer.show_size(size)}", location=location.here(),
            instead="give None, an int, or what hl.register_block_size returned",
        )  # fmt: skip
    if extent is not None and isinstance(extent, int) and isinstance(found.extent, (int, type(None))):
        found.extent = max(found.extent or 0, extent)
    return found


def grid_loop(tracer: Tracer, loop: TileLoop, steps: list[Any]) -> GridLoop:
    begins, ends = [tracer.size_of(b) for b in loop.begins], [tracer.size_of(e) for e in loop.ends]
    result = GridLoop(loop.function, begins, ends, [1] * len(ends), loop.single)
    result.steps = [tracer.size_of(s) for s in steps]
    if any(isinstance(s, int) and s < 1 for s in result.steps):
        raise exc.InvalidArgument(what=f"a step of {min(result.steps)}", instead="give a positive step")
    return result


def ranges_of(tracer: Tracer, loop: TileLoop, targets: Sequence[str]) -> list[Range]:
    """The ranges that the loop runs over, named like its targets."""
    return [_make_range(tracer, loop, k, name) for k, name in enumerate(_range_names(tracer, loop, targets))]


def _make_range(tracer: Tracer, loop: TileLoop, k: int, name: str) -> Range:
    begin, end, given = loop.begins[k], loop.ends[k], loop.blocks[k]
    base = tracer.env.device_symbol()
    width = given.symbol if isinstance(given, BlockSize) else given
    scalar = isinstance(loop, GridLoop)
    step: Size = loop.steps[k] if isinstance(loop, GridLoop) else width
    result = Range(name=name, begin=begin, end=end, width=step if scalar else width, base=base, scalar=scalar)
    tracer.symbols[base] = result
    if isinstance(loop, JaggedLoop):
        tracer.jagged[result] = loop.lengths
    return result


def _range_names(tracer: Tracer, loop: TileLoop, targets: Sequence[str]) -> list[str]:
    if len(targets) != len(loop.ends):
        if len(targets) > 1:
            count = len(loop.ends)
            raise exc.InvalidArgument(
                what=f"unpacking {count} {'tile' if count == 1 else 'tiles'} into {len(targets)} names",
                instead=f"{loop.function}([a, b, ...]) gives one tile per bound: "
                f"give {len(targets)} bounds, or name {count}",
            )
        targets = [f"{targets[0] if targets else 'tile'}_{k}" for k in range(len(loop.ends))]
    for block, name in zip(loop.blocks, targets, strict=True):
        if isinstance(block, BlockSize) and block.name == f"BLOCK_{block.id}":
            block.name = "BLOCK_" + (name.removeprefix("tile_") or name).upper()
            if sum(b.name == block.name for b in tracer.blocks) > 1:
                block.name += f"_{block.id}"
    return list(targets)


def item(tracer: Tracer, loop: TileLoop, ranges: Sequence[Range]) -> Any:
    """What the `for` target receives: tiles, or scalar indices."""
    items: list[Any] = []
    for k, range_ in enumerate(ranges):
        block = loop.blocks[k]
        if isinstance(loop, GridLoop):
            items.append(tracer.env.sym(range_.base))
        else:
            items.append(Tile.make(range_, block if isinstance(block, BlockSize) else None, tracer.env))
    return items[0] if len(items) == 1 else tuple(items)
