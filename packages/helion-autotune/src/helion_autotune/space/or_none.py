"""A parameter that can also be switched off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from helion_autotune.space.parameter import Parameter

if TYPE_CHECKING:
    import numpy as np

    from helion_autotune.points import Value


class OrNone(Parameter):
    """None, or a value of ``inner``. None stands next to the largest value, as a persistent reduction does to a loop.

    ``inner`` must be ordered. None is drawn with probability one half.
    """

    kind: ClassVar[str] = "or_none"

    def __init__(self, inner: Parameter, default: Value = None) -> None:
        self.inner = inner
        self.default = default
        self.width = 1 + inner.width

    def check(self, value: Value) -> str | None:
        reason = None if value is None else self.inner.check(value)
        return f"{reason}, nor None" if reason else None

    def sample(self, rng: np.random.Generator) -> Value:
        return None if rng.random() < 0.5 else self.inner.sample(rng)

    def neighbours(self, value: Value) -> list[Value]:
        if value is None:
            return [self.values()[-2]]
        return [*self.inner.neighbours(value), None]

    def step(self, value: Value, direction: int) -> Value | None:
        return None if value is None else self.inner.step(value, direction)

    def encode(self, value: Value) -> list[float]:
        if value is None:
            return [1.0, *self.inner.encode(self.inner.values()[-1])]
        return [0.0, *self.inner.encode(value)]

    def cardinality(self) -> int:
        return 1 + self.inner.cardinality()

    def values(self) -> list[Value]:
        return [*self.inner.values(), None]

    def repair(self, value: Value) -> Value:
        return None if value is None else self.inner.repair(value)

    def differential(self, base: Value, a: Value, b: Value, rng: np.random.Generator) -> Value:
        if base is None or a is None or b is None:
            return super().differential(base, a, b, rng)
        return self.inner.differential(base, a, b, rng)

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "inner": self.inner.to_json(), "default": self.default}
