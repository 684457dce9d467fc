"""A traced kernel as a whole: its phases, and what it takes from the host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import sympy
import torch

from ..location import Location
from .base import Block, BlockSize, Op, Range, Size, Value


@dataclass(eq=False)
class HostTensor:
    """A tensor of the host that the device reads or writes. `source` is the Python expression the wrapper passes."""

    name: str
    source: str
    dtype: torch.dtype
    sizes: tuple[Size, ...]
    strides: tuple[Size, ...]
    phase: int
    borrowed: bool = False
    """Whether its memory was there before the call: that of an argument or a global, or a view of one."""

    def __repr__(self) -> str:
        return self.name


@dataclass(eq=False)
class HostScalar:
    """A number of the host that the device reads; `is_wide`: it takes 64 bits whatever it is.

    `is_size`: a size or stride of a tensor rather than an argument.
    """

    name: str
    source: str
    symbol: sympy.Symbol
    is_float: bool
    is_wide: bool = False
    is_size: bool = False


class Baked(NamedTuple):
    """Stands for a host call that a config decides: the constant to write in its place."""

    value: Any


@dataclass(eq=False)
class Phase:
    """One top-level tile loop: the ranges of its grid and the body that one program runs."""

    ranges: tuple[Range, ...]
    body: Block
    loop: int
    location: Location | None
    stage: int = 0  # phases of one stage run side by side; a grid-wide barrier stands between stages


def is_wide(size: Size, symbols: Mapping[sympy.Symbol, Any]) -> bool:
    """Whether `size` is computed from 64-bit values of the device or of the caller; `symbols`: what it is made of."""
    for symbol in size.free_symbols if isinstance(size, sympy.Basic) else ():
        match symbols.get(symbol):
            case Value(dtype=torch.int64) | HostScalar(is_wide=True):
                return True
            case Range(begin=begin, end=end) if is_wide(begin, symbols) or is_wide(end, symbols):
                return True
    return False


@dataclass(eq=False)
class Program:
    """Everything known about a kernel after tracing.

    `padded`: lanes of whole dimensions whose size is a number of the host, and that no config divides into parts;
    `wide`: some tensor whose sizes are such numbers has offsets that need 64 bits.
    """

    name: str
    phases: list[Phase]
    tensors: list[HostTensor]
    scalars: list[HostScalar]
    blocks: list[BlockSize]
    symbols: dict[sympy.Symbol, Value | Range | BlockSize | HostScalar]
    min_lanes: dict[int, int] = field(default_factory=dict)
    tunables: dict[str, Any] = field(default_factory=dict)
    padded: dict[Size, int] = field(default_factory=dict)
    wide: bool = False

    @property
    def stages(self) -> int:
        """How many groups of phases run one after the other, with a grid-wide barrier between them."""
        return 1 + max((phase.stage for phase in self.phases), default=0)

    def ops(self) -> Iterator[Op]:
        for phase in self.phases:
            yield from phase.body.walk()

    def __str__(self) -> str:
        from .printer import print_program

        return "\n".join(print_program(self))
