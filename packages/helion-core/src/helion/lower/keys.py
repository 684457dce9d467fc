"""One entry of a configuration key: its default, what is worth searching, what is legal, and the nearest legal
value.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Key:
    """`choices` are worth searching, in order where `ordered`; `legal` may accept more; `allowed` says it in words."""

    default: Any
    choices: tuple[Any, ...]
    legal: Callable[[Any], bool]
    allowed: str
    ordered: bool = False

    def with_default(self, default: Any) -> Key:
        """This key with another default, which joins the choices."""
        choices = self.choices
        if default not in choices:
            choices = (*choices, default)
            choices = tuple(sorted(choices)) if self.ordered and None not in choices else choices
        return replace(self, default=default, choices=choices)

    def nearest(self, value: Any) -> Any:
        """`value` if it is legal, else the choice nearest to it: by ratio for numbers, else the default."""
        if self.legal(value):
            return value
        numbers = [c for c in self.choices if _is_number(c)]
        if not _is_number(value) or not numbers:
            return self.default
        return min(numbers, key=lambda c: abs(math.log2(max(c, 0.5)) - math.log2(max(value, 0.5))))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_power_of_two(value: Any) -> bool:
    return is_int(value) and value > 0 and value & (value - 1) == 0


def powers(low: int, high: int) -> tuple[int, ...]:
    """Powers of two from `low` to `high`."""
    return tuple(2**e for e in range((low - 1).bit_length(), high.bit_length()))


def power_key(low: int, high: int, default: int) -> Key:
    return Key(
        default, powers(low, high), lambda v: is_power_of_two(v) and low <= v <= high,
        f"a power of two, {low} to {high}", ordered=True,
    )  # fmt: skip


def int_key(low: int, high: int, default: int, note: str = "") -> Key:
    return Key(
        default, tuple(range(low, high + 1)), lambda v: is_int(v) and low <= v <= high,
        f"an int, {low} to {high}{note}", ordered=True,
    )  # fmt: skip


def choice_key(values: Sequence[Any], default: Any, searched: Sequence[Any] | None = None) -> Key:
    """One of `values`, of which `searched` (default: all) are worth trying. True and 1 differ."""
    legal = [(type(v), v) for v in values]
    allowed = " or ".join(map(repr, values)) if len(values) < 3 else f"one of {', '.join(map(repr, values))}"
    return Key(default, tuple(values if searched is None else searched), lambda v: (type(v), v) in legal, allowed)


def bool_key(default: bool = False) -> Key:
    return choice_key((False, True), default)


def permutation_key(n: int) -> Key:
    def legal(value: Any) -> bool:
        return isinstance(value, tuple) and all(map(is_int, value)) and sorted(value) == list(range(n))

    choices = tuple(itertools.permutations(range(n))) if n <= 4 else (tuple(range(n)),)
    return Key(tuple(range(n)), choices, legal, f"a permutation of 0..{n - 1}")


def optional_power_key(low: int, high: int, default: int | None) -> Key:
    """None, or a power of two."""
    return Key(
        default, (*powers(low, high), None), lambda v: v is None or (is_power_of_two(v) and low <= v <= high),
        f"None or a power of two, {low} to {high}", ordered=True,
    )  # fmt: skip
