"""Reads, writes and atomic updates of host tensors, and the indices they take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from .base import Dim, Op, Range, Size
from .host import HostTensor


class TileIndex(NamedTuple):
    """Indices of a tile, shifted by `offset`, along dim `dim` of the access."""

    range: Range
    offset: Size
    dim: int


class SliceIndex(NamedTuple):
    """start, start + step, ...: as many as `range` (a full range) is long, along dim `dim` of the access."""

    range: Range
    start: Size
    step: int
    dim: int


class PointIndex(NamedTuple):
    """One index given by an expression; the dimension is dropped."""

    at: Size


class ValueIndex(NamedTuple):
    """Indices held by input `slot`; its dims start at dim `dim` of the access (a 0-d value drops the dimension)."""

    slot: int
    dim: int


class NewAxis(NamedTuple):
    """A new dimension of size 1."""


Index = TileIndex | SliceIndex | PointIndex | ValueIndex | NewAxis


@dataclass(eq=False, kw_only=True)
class Access(Op):
    """A read or write of `tensor` at `index`; `mask` is the input slot of an extra mask; `dims` those of the access.

    Where `base` is given, that input holds device addresses (its dims lead) of tensors laid out like `tensor`.
    """

    tensor: HostTensor
    index: tuple[Index, ...]
    dims: tuple[Dim, ...]
    mask: int | None = None
    base: int | None = None


@dataclass(eq=False, kw_only=True)
class Load(Access):
    number: int = 0
    eviction: str | None = None


@dataclass(eq=False, kw_only=True)
class Store(Access):
    """Writes input 0, broadcast to `dims` and cast to the tensor's dtype."""

    effect: ClassVar[bool] = True
    number: int = 0


@dataclass(eq=False, kw_only=True)
class Atomic(Access):
    """Combines input 0 (for `cas`, input 1 where input 0 is found) into memory; the result is what was there before.

    Kinds: add, and, or, xor, max, min, xchg, cas. `sem`: relaxed, acquire, release or acq_rel.
    """

    effect: ClassVar[bool] = True
    kind: str
    sem: str
