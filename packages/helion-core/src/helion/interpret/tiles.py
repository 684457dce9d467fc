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
        device = torch.device("cpu")
        result: EagerTile = torch.Tensor._make_wrapper_subclass(EagerTile, [], dtype=torch.int64, device=device)
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
        return TileSize(self)

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


class RegisteredBlock:
    """A block size that several loops share: its real length is that of the tile that the innermost such loop is at."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.tile: EagerTile | None = None

    @property
    def length(self) -> int:
        return self.width if self.tile is None else self.tile.length


class TileSize(int):
    """The block size of a tile, or a multiple of it: a plain int in arithmetic, as a size the tile's real length."""

    owner: EagerTile | RegisteredBlock
    factor: int

    def __new__(cls, owner: EagerTile | RegisteredBlock, factor: int = 1) -> TileSize:
        result = super().__new__(cls, owner.width * factor)
        result.owner, result.factor = owner, factor
        return result

    @property
    def tile(self) -> EagerTile | None:
        """The tile whose size this is, unless it is a multiple or no loop has reached it."""
        found = self.owner.tile if isinstance(self.owner, RegisteredBlock) else self.owner
        return found if self.factor == 1 else None

    @property
    def length(self) -> int:
        return self.owner.length * self.factor

    def __mul__(self, other: Any) -> Any:
        return TileSize(self.owner, self.factor * other) if type(other) is int else int(self) * other

    __rmul__ = __mul__


def real_size(size: Any) -> Any:
    """The length behind a tile or its block size; any other size as it is."""
    return size.length if isinstance(size, (EagerTile, TileSize)) else size


def _engine() -> Any:
    from ..frontend import engine

    return engine.current()
