"""Loops and branches: operations that hold blocks."""

from __future__ import annotations

from dataclasses import dataclass

from .base import Block, Op, Range


@dataclass(eq=False, kw_only=True)
class For(Op):
    """A loop over the tiles of `range`; inputs are the initial values of the carried ones, results the final ones.

    `nest`: how many loops, this one first, are the dimensions of one tile loop.
    """

    range: Range
    body: Block
    number: int
    nest: int = 1

    @property
    def blocks(self) -> tuple[Block, ...]:
        return (self.body,)

    @property
    def effect(self) -> bool:  # type: ignore[override]
        return self.body.has_effect()


@dataclass(eq=False, kw_only=True)
class While(Op):
    """A loop while `condition` (its own block over the carried values) yields true; inputs and results as for `For`."""

    condition: Block
    body: Block

    @property
    def blocks(self) -> tuple[Block, ...]:
        return (self.condition, self.body)

    @property
    def effect(self) -> bool:  # type: ignore[override]
        return self.body.has_effect() or self.condition.has_effect()


@dataclass(eq=False, kw_only=True)
class If(Op):
    """One of two blocks, by the scalar bool input; results are what the chosen block yields."""

    then: Block
    orelse: Block

    @property
    def blocks(self) -> tuple[Block, ...]:
        return (self.then, self.orelse)

    @property
    def effect(self) -> bool:  # type: ignore[override]
        return self.then.has_effect() or self.orelse.has_effect()
