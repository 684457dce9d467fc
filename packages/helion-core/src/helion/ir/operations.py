"""Operations that compute values from values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from .base import Block, Op, Range, Size


@dataclass(eq=False, kw_only=True)
class Scalar(Op):
    """A 0-d value from a size expression."""

    expr: Size


@dataclass(eq=False, kw_only=True)
class Number(Scalar):
    """An integer of the caller's beside int32 values: compared as wide as a launch passes it, 32 bits where it fits."""


@dataclass(eq=False, kw_only=True)
class Full(Op):
    """Every lane holds `fill`, a Python number, or the scalar input where there is one."""

    fill: complex | None


@dataclass(eq=False, kw_only=True)
class Indices(Op):
    """The indices of `range` that the current tile covers, shifted by `offset`."""

    range: Range
    offset: Size = 0


@dataclass(eq=False, kw_only=True)
class Iota(Op):
    """start, start + step, ... along the only dimension."""

    start: Size
    step: Size


@dataclass(eq=False, kw_only=True)
class Pointwise(Op):
    """An elementwise torch operator. `args` and `kwargs` are those of the operator with `Slot(k)` for input k."""

    target: Any
    args: tuple[Any, ...]
    kwargs: tuple[tuple[str, Any], ...]
    template: Any

    @property
    def name(self) -> str:
        return str(self.target)

    def attributes(self) -> dict[str, Any]:
        constants = [a for a in self.args if not isinstance(a, Slot)]
        found: dict[str, Any] = {"args": constants} if constants else {}
        return found | dict(self.kwargs)


class Slot(NamedTuple):
    """Stands for input number `index` of an operation."""

    index: int


@dataclass(eq=False, kw_only=True)
class Cast(Op):
    """The input converted to the result's dtype, as `Tensor.to(dtype)` does."""


@dataclass(eq=False, kw_only=True)
class Permute(Op):
    order: tuple[int, ...]


@dataclass(eq=False, kw_only=True)
class Reshape(Op):
    """The input in another shape; at most the leading dim of a merged or split group is padded (tracing checks it)."""


@dataclass(eq=False, kw_only=True)
class Expand(Op):
    """The input with size-1 dims broadcast to the result's shape (same number of dims)."""


@dataclass(eq=False, kw_only=True)
class Reduce(Op):
    """`kind` over dimension `dim`, which disappears. Kinds: sum, prod, max, min, argmax, argmin, any, all, xor_sum."""

    kind: str
    dim: int


@dataclass(eq=False, kw_only=True)
class Dot(Op):
    """a @ b (+ acc, the third input) over the last two dims, the others batched; accumulated in the result's dtype."""

    precision: str | None


@dataclass(eq=False, kw_only=True)
class Bitcast(Op):
    """The bits of the input taken as the result's dtype, which has the same width."""


@dataclass(eq=False, kw_only=True)
class Gather(Op):
    """result[.., i, ..] = source[.., index[.., i, ..], ..] along `dim`.

    Inputs are source and index, whose other dims agree.
    """

    dim: int


@dataclass(eq=False, kw_only=True)
class Join(Op):
    """Two inputs of one shape side by side in a new last dimension of size 2."""


@dataclass(eq=False, kw_only=True)
class Split(Op):
    """The two halves of an input whose last dimension has size 2."""


@dataclass(eq=False, kw_only=True)
class Sort(Op):
    """The input sorted ascending along its last dimension; padding comes last."""


@dataclass(eq=False, kw_only=True)
class Scan(Op):
    """Running results along `dim`, which stays.

    `kind`: sum or prod of one input; None combines by `body`, whose params are the left values, then the right ones.
    """

    dim: int
    reverse: bool
    kind: str | None
    body: Block

    @property
    def blocks(self) -> tuple[Block, ...]:
        return (self.body,)


@dataclass(eq=False, kw_only=True)
class Combine(Op):
    """A reduction of all inputs at once over `dim` by `body`.

    Params of the body: left values, then right ones; `fills` are identities.
    """

    dim: int
    fills: tuple[Any, ...]
    body: Block

    @property
    def blocks(self) -> tuple[Block, ...]:
        return (self.body,)


@dataclass(eq=False, kw_only=True)
class Random(Op):
    """`count` blocks of Philox output; inputs are a 0-d int64 seed and positions.

    Kinds: rand, randn, randint (32 random bits).
    """

    kind: str


@dataclass(eq=False, kw_only=True)
class DotScaled(Op):
    """Block-scaled a @ b: inputs a, its scales, b, its scales (where `scaled` says so), perhaps an f32 accumulator."""

    formats: tuple[str, str]
    scaled: tuple[bool, bool]
