"""Rearranging device values, and what is known of a tile."""

from __future__ import annotations

from typing import Any

from ._engine import run


def join(a: Any, b: Any) -> Any:
    """Two values (broadcast to one shape) side by side in a new last dimension of size 2."""
    return run("join", a, b)


def split(x: Any) -> tuple[Any, Any]:
    """The two halves of a value whose last dimension has size 2. Raises `ShapeMismatch`."""
    return run("split", x)  # type: ignore[no-any-return]


def subscript(x: Any, index: Any) -> Any:
    """`x[index]` of a device value, such as `hl.subscript(x, [None, slice(None)])`."""
    return run("subscript", x, index)


def tile_index(tile: Any) -> Any:
    """`tile.index`: the indices that the tile covers, int32, shape [block size]."""
    return run("tile_index", tile)


def tile_begin(tile: Any) -> Any:
    """`tile.begin`: the first index of the tile."""
    return run("tile_begin", tile)


def tile_end(tile: Any) -> Any:
    """`tile.end`: one past the last index of the tile, not beyond the end of the loop."""
    return run("tile_end", tile)


def tile_block_size(tile: Any) -> Any:
    """`tile.block_size`: the block size, in shapes and as a number on the device."""
    return run("tile_block_size", tile)


def tile_id(tile: Any) -> Any:
    """`tile.id`: the number of the tile in its loop, from 0."""
    return run("tile_id", tile)


def tile_count(tile: Any) -> Any:
    """`tile.count`: how many tiles the loop has."""
    return run("tile_count", tile)
