"""Loops over tiles: `hl.tile`, `hl.grid`, and registered block sizes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..frontend.engine import DeviceLoop
from ._engine import require


class TileLoop(DeviceLoop):
    """Bounds of one `for` over tiles: per dimension (begin, end, block size or None)."""

    def __init__(self, function: str, begins: list[Any], ends: list[Any], blocks: list[Any], single: bool) -> None:
        self.function = function
        self.begins, self.ends, self.blocks, self.single = begins, ends, blocks, single


def _lists(function: str, begin_or_end: Any, end: Any, block_size: Any) -> TileLoop:
    import torch

    if end is None:
        begin_or_end, end = None, begin_or_end
    single = not isinstance(end, (list, tuple, torch.Size))
    ends: list[Any] = [end] if single else list(end)
    if begin_or_end is None:
        begins: list[Any] = [0] * len(ends)
    else:
        begins = list(begin_or_end) if isinstance(begin_or_end, (list, tuple, torch.Size)) else [begin_or_end]
    blocks = list(block_size) if isinstance(block_size, (list, tuple)) else [block_size] * len(ends)
    if not ends or len(begins) != len(ends) or len(blocks) != len(ends):
        from .. import exc, location

        raise exc.InvalidArgument(
            what=f"{function} with {len(begins)} begins, {len(ends)} ends and {len(blocks)} block sizes",
            instead="give one bound and one block size per dimension", location=location.here(),
        )  # fmt: skip
    return TileLoop(function, begins, ends, blocks, single)


def tile(begin_or_end: Any, end: Any = None, block_size: Any = None) -> Iterator[Any]:
    """Splits `[begin, end)` (or `[0, end)`) into tiles, to be iterated by a `for` statement.

    The outermost loop becomes the grid of the kernel, a nested one a loop in it. A list of bounds gives a tuple of
    tiles, a one-element list one tile. Bounds: ints, size expressions, or scalars on the device (nested loops only).
    `block_size`: None (tuned), an int (fixed), a registered block size, or a list of these.
    """
    engine = require("hl.tile")
    return engine.tile_loop(_lists("hl.tile", begin_or_end, end, block_size))  # type: ignore[no-any-return]


def grid(begin_or_end: Any, end: Any = None, step: Any = None) -> Iterator[Any]:
    """Like `tile` with block size 1, but yields scalar indices: `x[i]` drops the dimension. `step` as in `range`."""
    engine = require("hl.grid")
    loop = _lists("hl.grid", begin_or_end, end, 1)
    steps = list(step) if isinstance(step, (list, tuple)) else [step if step is not None else 1] * len(loop.ends)
    return engine.grid_loop(loop, steps)  # type: ignore[no-any-return]


def static_range(*bounds: Any) -> range:
    """`range` over constants: the loop is unrolled while tracing. Raises `DeviceValueAsPython` for device bounds."""
    engine = require("hl.static_range")
    numbers = [engine.constant(bound, "hl.static_range") for bound in bounds]
    return range(*numbers)


def jagged_tile(lengths: Any) -> Iterator[Any]:
    """Tiles from 0 to the longest of `lengths`, a 1-D device vector of ints; every lane is masked by its own length.

    What is loaded with such a tile and the tile that `lengths` was loaded with is 0 beyond each row's length, and
    reductions over the tile see only what lies inside.
    """
    return require("hl.jagged_tile").jagged_loop(lengths)  # type: ignore[no-any-return]


def barrier() -> None:
    """Grid-wide barrier between two top-level tile loops: the second may read what the first wrote. Host code only."""
    require("hl.barrier").barrier()


def register_block_size(min_or_max: int, max: int | None = None) -> Any:
    """A block size for several loops to share, tuned between `min` (default 1) and `max` elements. Host code only."""
    minimum, maximum = (1, min_or_max) if max is None else (min_or_max, max)
    return require("hl.register_block_size").register_block_size(minimum, maximum)


__all__: Sequence[str] = ["TileLoop", "barrier", "grid", "jagged_tile", "register_block_size", "static_range", "tile"]
