"""`import helion.language as hl`: what device code may call besides PyTorch."""

from __future__ import annotations

from .create import full, zeros
from .loops import grid, register_block_size, tile
from .products import dot

__all__ = ["dot", "full", "grid", "register_block_size", "tile", "zeros"]
