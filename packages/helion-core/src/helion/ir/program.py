"""A traced kernel as a whole: its phases, and what they share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import sympy
import torch

from ..location import Location
from .base import Block, BlockSize, Op, Range, Size, Value
from .host import HostScalar, HostTensor
from .printer import Names, print_block, print_range, short_dtype


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
        return "\n".join(print_program(self))


def print_program(program: Program) -> Iterator[str]:
    """The lines of a program."""
    names = Names(program.symbols)
    yield f"program {program.name}"
    for tensor in program.tensors:
        sizes = ", ".join(map(names.size, tensor.sizes))
        strides = ", ".join(map(names.size, tensor.strides))
        yield f"  tensor {tensor.name}: {short_dtype(tensor.dtype)}[{sizes}] strides [{strides}] from {tensor.source}"
    for scalar in program.scalars:
        yield f"  scalar {scalar.name} from {scalar.source}"
    for phase in program.phases:
        ranges = ", ".join(print_range(r, names) for r in phase.ranges)
        yield f"  grid {ranges}:"
        yield from print_block(phase.body, names, "    ")
