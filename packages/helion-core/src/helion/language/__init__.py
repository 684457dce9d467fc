"""`import helion.language as hl`: what device code may call besides PyTorch."""

from __future__ import annotations

from .create import full, zeros
from .constants import constexpr, specialize
from .loops import barrier, grid, jagged_tile, register_block_size, static_range, tile
from .products import dot

__all__ = ["barrier", "constexpr", "dot", "full", "grid", "jagged_tile", "register_block_size", "specialize", "static_range", "tile", "zeros"]
