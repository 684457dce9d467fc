"""`import helion.language as hl`: what device code may call besides PyTorch."""

from __future__ import annotations

from .collective import associative_scan, cumprod, cumsum, reduce
from .constants import constexpr, specialize
from .create import arange, full, zeros
from .escape import device_print, inline_asm_elementwise, inline_triton, triton_kernel
from .loops import barrier, grid, jagged_tile, register_block_size, static_range, tile
from .memory import (
    atomic_add,
    atomic_and,
    atomic_cas,
    atomic_max,
    atomic_min,
    atomic_or,
    atomic_xchg,
    atomic_xor,
    load,
    stacktensor_like,
    store,
)
from .products import dot, dot_scaled
from .random import rand, rand4x, randint
from .tunables import BooleanFragment, EnumFragment, IntegerFragment, PowerOfTwoFragment, register_tunable
from .views import join, split, subscript, tile_begin, tile_block_size, tile_count, tile_end, tile_id, tile_index

__all__ = [
    "BooleanFragment",
    "EnumFragment",
    "IntegerFragment",
    "PowerOfTwoFragment",
    "arange",
    "associative_scan",
    "atomic_add",
    "atomic_and",
    "atomic_cas",
    "atomic_max",
    "atomic_min",
    "atomic_or",
    "atomic_xchg",
    "atomic_xor",
    "barrier",
    "constexpr",
    "cumprod",
    "cumsum",
    "device_print",
    "dot",
    "dot_scaled",
    "full",
    "grid",
    "inline_asm_elementwise",
    "inline_triton",
    "jagged_tile",
    "join",
    "load",
    "rand",
    "rand4x",
    "randint",
    "reduce",
    "register_block_size",
    "register_tunable",
    "specialize",
    "split",
    "stacktensor_like",
    "static_range",
    "store",
    "subscript",
    "tile",
    "tile_begin",
    "tile_block_size",
    "tile_count",
    "tile_end",
    "tile_id",
    "tile_index",
    "triton_kernel",
    "zeros",
]  # fmt: skip
