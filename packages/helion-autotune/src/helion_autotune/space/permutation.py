"""The order of n things."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any, ClassVar

from helion_autotune.errors import InvalidParameter
from helion_autotune.space.parameter import Parameter

if TYPE_CHECKING:
    import numpy as np

    from helion_autotune.points import Value


class Permutation(Parameter):
    """A list holding 0..n-1 in some order; a neighbour swaps two places.

    Encoded by precedence: one number per pair, 1 if the smaller item stands behind the larger, so that the distance
    of two orders is their normalised Kendall tau distance.
    """

    kind: ClassVar[str] = "permutation"

    def __init__(self, n: int, default: list[int] | None = None) -> None:
        if n < 1:
            raise InvalidParameter(f"a permutation needs at least one item, not {n!r}")
        self.n = n
        self.width = n * (n - 1) // 2
        self.default = list(range(n)) if default is None else list(default)
        if reason := self.check(self.default):
            raise InvalidParameter(reason)

    def check(self, value: Value) -> str | None:
        if not isinstance(value, (list, tuple)) or [type(v) for v in value] != [int] * self.n:
            return f"{value!r} is not a list of {self.n} integers"
        if sorted(value) != list(range(self.n)):
            return f"{value!r} does not order 0..{self.n - 1}"
        return None

    def sample(self, rng: np.random.Generator) -> Value:
        return [int(v) for v in rng.permutation(self.n)]

    def neighbours(self, value: Value) -> list[Value]:
        found = []
        for i, j in itertools.combinations(range(self.n), 2):
            swapped = list(value)
            swapped[i], swapped[j] = swapped[j], swapped[i]
            found.append(swapped)
        return found

    def encode(self, value: Value) -> list[float]:
        place = {item: at for at, item in enumerate(value)}
        return [float(place[i] > place[j]) for i, j in itertools.combinations(range(self.n), 2)]

    def cardinality(self) -> int:
        return math.factorial(self.n)

    def values(self) -> list[Value]:
        return [list(p) for p in itertools.permutations(range(self.n))]

    def repair(self, value: Value) -> Value:
        return list(value) if self.check(value) is None else list(self.default)

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "n": self.n, "default": self.default}
