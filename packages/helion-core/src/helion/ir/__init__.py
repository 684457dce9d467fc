"""The intermediate representation: what a kernel computes, before any configuration is chosen.

A `Program` holds host tensors and scalars that the device reads, block sizes, and phases (top-level tile loops). A
phase is a `Block` of `Op`s over `Value`s; loops and branches hold blocks of their own, and outer values are visible in
inner blocks. Sizes are Python ints or sympy expressions over block sizes, host sizes and device scalars. Everything is
immutable once traced: what a config may change is decided later.
"""

from __future__ import annotations

from .base import ARRIVALS, Block, BlockSize, Dim, Op, Range, Size, Value, next_range_id
from .control import For, If, While
from .escape import Assert, CallTriton, InlineAsm, InlineTriton, Print
from .host import Baked, HostScalar, HostTensor
from .memory import Access, Atomic, Index, Load, NewAxis, PointIndex, SliceIndex, Store, TileIndex, ValueIndex
from .operations import (
    Bitcast,
    Cast,
    Combine,
    Dot,
    DotScaled,
    Expand,
    Full,
    Gather,
    Indices,
    Iota,
    Join,
    Number,
    Permute,
    Pointwise,
    Random,
    Reduce,
    Reshape,
    Scalar,
    Scan,
    Slot,
    Sort,
    Split,
)
from .passes import dims_of, remove_dead, sizes_of
from .printer import short_dtype
from .program import Phase, Program, is_wide, print_program
from .verifier import verify

__all__ = [
    "ARRIVALS",
    "Access",
    "Assert",
    "Atomic",
    "Baked",
    "Bitcast",
    "Block",
    "BlockSize",
    "CallTriton",
    "Cast",
    "Combine",
    "Dim",
    "Dot",
    "DotScaled",
    "Expand",
    "For",
    "Full",
    "Gather",
    "HostScalar",
    "HostTensor",
    "If",
    "Index",
    "Indices",
    "InlineAsm",
    "InlineTriton",
    "Iota",
    "Join",
    "Load",
    "NewAxis",
    "Number",
    "Op",
    "Permute",
    "Phase",
    "PointIndex",
    "Pointwise",
    "Print",
    "Program",
    "Random",
    "Range",
    "Reduce",
    "Reshape",
    "Scalar",
    "Scan",
    "Size",
    "SliceIndex",
    "Slot",
    "Sort",
    "Split",
    "Store",
    "TileIndex",
    "Value",
    "ValueIndex",
    "While",
    "dims_of",
    "is_wide",
    "next_range_id",
    "print_program",
    "remove_dead",
    "short_dtype",
    "sizes_of",
    "verify",
]
