"""Sizes, ranges, values, and what every operation and block of them has."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import sympy
import torch

Size = int | sympy.Expr
ARRIVALS = "arrivals"  # the host tensor in which programs count themselves at grid-wide barriers
_range_ids = itertools.count()


def next_range_id() -> int:
    """A number that no range has yet."""
    return next(_range_ids)


@dataclass(eq=False)
class BlockSize:
    """One tunable block size: `symbol` stands for it in sizes; `extent` is the longest run it tiles, where known."""

    id: int
    name: str
    symbol: sympy.Symbol
    minimum: int = 1
    maximum: int | None = None
    extent: Size | None = None


@dataclass(eq=False)
class Range:
    """A run of indices `begin <= i < end` that a dimension of a value goes over, `width` lanes at a time.

    `width` is a block size symbol or a fixed int for tiles, and the whole size for a dimension taken in full.
    `base` is the first index of the current tile: a symbol for tiles, `begin` for a full dimension.
    A range derived from another by a reshape (its indices times or divided by a constant) has that one as `parent`.
    A range whose tiles are parts of the tiles of another is `part_of` that one, and as masked as it is.
    """

    name: str
    begin: Size
    end: Size
    width: Size
    base: Size
    full: bool = False
    scalar: bool = False
    extra_ends: tuple[Size, ...] = ()
    parent: Range | None = None
    part_of: Range | None = None
    id: int = field(default_factory=next_range_id)

    def __repr__(self) -> str:
        return f"{self.name}[{self.begin}:{self.end}]"


class Dim(NamedTuple):
    """One dimension of a value: how many lanes, and which ranges they run over (their masks apply)."""

    size: Size
    ranges: frozenset[Range] = frozenset()


@dataclass(eq=False)
class Value:
    """A tile (or scalar, with no dims) computed on the device. `hint` is the user's variable name, where known."""

    dims: tuple[Dim, ...]
    dtype: torch.dtype
    hint: str = ""
    block: Block | None = None

    @property
    def shape(self) -> tuple[Size, ...]:
        return tuple(dim.size for dim in self.dims)


@dataclass(eq=False, kw_only=True)
class Op:
    """One operation. Subclasses add attributes; `inputs` are values, `results` what it defines."""

    inputs: tuple[Value, ...] = ()
    results: tuple[Value, ...] = ()
    line: tuple[str, int] = ("", 0)
    effect: ClassVar[bool] = False

    @property
    def result(self) -> Value:
        return self.results[0]

    @property
    def blocks(self) -> tuple[Block, ...]:
        return ()

    @property
    def name(self) -> str:
        return type(self).__name__.lower()

    def attributes(self) -> dict[str, Any]:
        """What the printer shows besides inputs and results."""
        hidden = {"inputs", "results", "line", "body", "then", "orelse", "condition"}
        return {k: v for k, v in vars(self).items() if k not in hidden and v is not None}


@dataclass(eq=False)
class Block:
    """A straight run of operations; `params` are the carried values of a loop, `yields` what it hands back."""

    parent: Block | None = None
    params: list[Value] = field(default_factory=list)
    ops: list[Op] = field(default_factory=list)
    yields: list[Value] = field(default_factory=list)

    def encloses(self, other: Block | None) -> bool:
        """Whether `other` is this block or lies inside it."""
        while other is not None:
            if other is self:
                return True
            other = other.parent
        return False

    def walk(self) -> Iterator[Op]:
        """Every operation in program order, inner blocks included."""
        for op in self.ops:
            yield op
            for block in op.blocks:
                yield from block.walk()

    def has_effect(self) -> bool:
        return any(op.effect for op in self.ops)
