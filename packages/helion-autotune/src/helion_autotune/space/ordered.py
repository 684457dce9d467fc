"""Parameters whose values stand in a line: integers, powers of two, ordered enumerations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helion_autotune.errors import InvalidParameter
from helion_autotune.space.parameter import Parameter

if TYPE_CHECKING:
    import numpy as np

    from helion_autotune.points import Value


class Ordered(Parameter):
    """A choice from an ordered list of values; a step goes to the next one."""

    width = 1

    def __init__(self, ladder: list[Value], default: Value) -> None:
        if not ladder:
            raise InvalidParameter("a parameter needs at least one value; check its limits")
        if default not in ladder:
            raise InvalidParameter(f"default {default!r} is not among {ladder!r}")
        self._ladder = ladder
        self.default = default

    def values(self) -> list[Value]:
        return list(self._ladder)

    def cardinality(self) -> int:
        return len(self._ladder)

    def sample(self, rng: np.random.Generator) -> Value:
        return self._ladder[int(rng.integers(len(self._ladder)))]

    def neighbours(self, value: Value) -> list[Value]:
        steps = (self.step(value, -1), self.step(value, +1))
        return [v for v in steps if v is not None]

    def step(self, value: Value, direction: int) -> Value | None:
        index = self._ladder.index(value) + direction
        return self._ladder[index] if 0 <= index < len(self._ladder) else None

    def encode(self, value: Value) -> list[float]:
        if len(self._ladder) == 1:
            return [0.0]
        return [self._ladder.index(value) / (len(self._ladder) - 1)]

    def differential(self, base: Value, a: Value, b: Value, rng: np.random.Generator) -> Value:
        shift = self._ladder.index(a) - self._ladder.index(b)
        scaled = round(shift * (0.5 + 0.5 * rng.random()))
        if shift and not scaled:
            scaled = 1 if shift > 0 else -1
        index = min(max(self._ladder.index(base) + scaled, 0), len(self._ladder) - 1)
        return self._ladder[index]
