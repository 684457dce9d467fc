"""The base of all parameters: one thing that can be chosen."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import numpy as np

    from helion_autotune.points import Value


class Parameter(ABC):
    """One choice, with the geometry that strategies need.

    A space calls :meth:`check` on values from outside and everything else only with values that passed it.
    Randomness comes from the generator passed in, never from anywhere else, so a seed reproduces a search. Values
    are plain JSON values.
    """

    kind: ClassVar[str]
    """The name of this class in serialised spaces."""

    default: Value
    width: int
    """How many numbers :meth:`encode` gives."""

    @abstractmethod
    def check(self, value: Value) -> str | None:
        """Why ``value`` is not allowed, or None if it is."""

    @abstractmethod
    def sample(self, rng: np.random.Generator) -> Value:
        """A value, each region of the choice equally likely."""

    @abstractmethod
    def neighbours(self, value: Value) -> list[Value]:
        """The values one step away, in a fixed order, ``value`` itself left out."""

    @abstractmethod
    def encode(self, value: Value) -> list[float]:
        """The value as ``width`` numbers in [0, 1]; near values have near codes."""

    @abstractmethod
    def cardinality(self) -> int:
        """How many values there are."""

    @abstractmethod
    def values(self) -> list[Value]:
        """All values, in order. Only for small choices."""

    @abstractmethod
    def repair(self, value: Value) -> Value:
        """The allowed value nearest to ``value``, the default if nothing is near."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """The declaration as JSON, with ``kind``; ``helion_autotune.space.serialise`` reads it back."""

    def step(self, value: Value, direction: int) -> Value | None:
        """The next larger (+1) or smaller (-1) value; None where there is no order or no such value."""
        return None

    def alternatives(self, value: Value) -> list[Value]:
        """The neighbours that are other ways of doing it rather than more or less of it.

        Other categories, in a list for
        all entries at once. A search tries them whatever a model thinks of them.
        """
        return []

    def distance(self, a: Value, b: Value) -> float:
        """How far apart two values are, from 0 (equal) to 1."""
        pairs = list(zip(self.encode(a), self.encode(b), strict=True))
        return sum(abs(x - y) for x, y in pairs) / max(1, len(pairs))

    def crossover(self, a: Value, b: Value, rng: np.random.Generator) -> Value:
        """A child of two values: one of them, unless the parameter can mix."""
        return a if rng.random() < 0.5 else b

    def differential(self, base: Value, a: Value, b: Value, rng: np.random.Generator) -> Value:
        """``base + (a - b)`` as differential evolution wants it, in whatever sense the choice has of it."""
        return self.crossover(a, b, rng) if a != b else base
