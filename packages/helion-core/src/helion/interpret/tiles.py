"""A tile with real bounds."""

from __future__ import annotations

from typing import Any

import torch


class EagerTile(torch.Tensor):
    """One tile of a loop run as plain PyTorch: its indices in a subscript, its length where a size is expected."""

    start: int
    stop: int
    first: int  # where the range begins
    limit: int  # where the range ends
    width: int
    shift: int

    @staticmethod
    def make(start: int, first: int, limit: int, width: int, shift: int = 0) -> EagerTile:
        result: EagerTile = torch.Tensor._make_wrapper_subclass(EagerTile, [], dtype=torch.int64, device=torch.device("cpu"))
        result.start, result.stop, result.first, result.limit = start, min(start + width, limit), first, limit
        result.width, result.shift = width, shift
        return result

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        raise TypeError(f"a tile cannot be used in {func}; write tile.index, tile.begin or tile.block_size")

    @property
    def begin(self) -> int:
        return self.start + self.shift

    @property
    def end(self) -> int:
        return self.stop + self.shift

    @property
    def block_size(self) -> int:
        return TileSize(self.width, self)

    @property
    def length(self) -> int:
        """How many indices the tile really has."""
        return max(0, self.stop - self.start)

    @property
    def id(self) -> int:
        return (self.start - self.first) // self.width

    @property
    def count(self) -> int:
        return -(-max(0, self.limit - self.first) // self.width)

    @property
    def index(self) -> torch.Tensor:  # type: ignore[override]
        return _engine().tile_index(self)

    def shifted(self, by: int) -> EagerTile:
        return EagerTile.make(self.start, self.first, self.limit, self.width, self.shift + by)

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        return f"Tile({self.begin}:{self.end})"


class TileSize(int):
    """The block size of a tile: a plain int in arithmetic, but as a size of a new value the tile's real length."""

    tile: EagerTile

    def __new__(cls, width: int, tile: EagerTile) -> TileSize:
        result = super().__new__(cls, width)
        result.tile = tile
        return result

    @property
    def length(self) -> int:
        return self.tile.length


def real_size(size: Any) -> Any:
    """The length behind a tile or its block size; any other size as it is."""
    return size.length if isinstance(size, (EagerTile, TileSize)) else size


def _engine() -> Any:
    from ..frontend import engine

    return engine.current()
