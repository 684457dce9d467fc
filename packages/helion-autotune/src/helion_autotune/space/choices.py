"""Parameters that choose among listed values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from helion_autotune.errors import InvalidParameter
from helion_autotune.points import canonical
from helion_autotune.space.ordered import Ordered

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from helion_autotune.points import Value


def _position(values: list[Value], value: Value) -> int | None:
    """Index of ``value`` with its type: 1, 1.0 and True are three values, as they are in JSON."""
    text = canonical(value)
    return next((i for i, v in enumerate(values) if canonical(v) == text), None)


class Enum(Ordered):
    """One of the listed JSON values; every other value is a neighbour unless ``ordered``."""

    kind: ClassVar[str] = "enum"
    _MISSING: ClassVar[object] = object()

    def __init__(self, values: Sequence[Value], default: Value = _MISSING, *, ordered: bool = False) -> None:
        ladder = list(values)
        if any(v in ladder[:i] for i, v in enumerate(ladder)):
            raise InvalidParameter(f"repeated values in {ladder!r} (1 and True count as one)")
        if not ladder:
            raise InvalidParameter("an enum needs at least one value")
        super().__init__(ladder, ladder[0] if default is self._MISSING else default)
        self.ordered = ordered
        self.width = 1 if ordered or len(ladder) < 3 else len(ladder)

    def check(self, value: Value) -> str | None:
        try:
            known = _position(self._ladder, value) is not None
        except (TypeError, ValueError):
            known = False
        return None if known else f"{value!r} is not one of {self._ladder!r}"

    def neighbours(self, value: Value) -> list[Value]:
        if self.ordered:
            index = self._ladder.index(value)
            return self._ladder[max(0, index - 1) : index] + self._ladder[index + 1 : index + 2]
        return [v for v in self._ladder if v != value]

    def alternatives(self, value: Value) -> list[Value]:
        return [] if self.ordered else self.neighbours(value)

    def step(self, value: Value, direction: int) -> Value | None:
        return super().step(value, direction) if self.ordered else None

    def encode(self, value: Value) -> list[float]:
        if self.width == 1:
            return super().encode(value)
        return [1.0 if v == value else 0.0 for v in self._ladder]

    def distance(self, a: Value, b: Value) -> float:
        return super().distance(a, b) if self.ordered else float(a != b)

    def differential(self, base: Value, a: Value, b: Value, rng: np.random.Generator) -> Value:
        if self.ordered:
            return super().differential(base, a, b, rng)
        return self.crossover(a, b, rng) if a != b else base

    def repair(self, value: Value) -> Value:
        if self.check(value) is None:
            return value
        numbers = [v for v in self._ladder if isinstance(v, (int, float)) and not isinstance(v, bool)]
        if numbers and isinstance(value, (int, float)) and not isinstance(value, bool):
            return min(numbers, key=lambda v: abs(v - value))
        return self.default

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "values": self._ladder, "default": self.default, "ordered": self.ordered}


class Boolean(Enum):
    """False or True."""

    kind: ClassVar[str] = "boolean"

    def __init__(self, default: bool = False) -> None:
        super().__init__([False, True], default)

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "default": self.default}


class Fixed(Enum):
    """A pinned value: part of every point, never varied, invisible to models."""

    kind: ClassVar[str] = "fixed"

    def __init__(self, value: Value) -> None:
        super().__init__([value])
        self.width = 0

    def encode(self, value: Value) -> list[float]:
        return []

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "value": self.default}
