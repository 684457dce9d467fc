"""Choices of a kernel's own: `hl.register_tunable(name, fragment)`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .. import exc
from ._engine import require


@dataclass(frozen=True)
class Fragment:
    """The values of a tunable. Subclasses say which; `default` is used where nobody tunes."""

    default: Any

    def values(self) -> tuple[Any, ...]:
        """Everything that may be chosen, in order."""
        raise NotImplementedError


@dataclass(frozen=True, init=False)
class PowerOfTwoFragment(Fragment):
    """A power of two from `low` to `high`, both included."""

    low: int
    high: int

    def __init__(self, low: int, high: int, default: int | None = None) -> None:
        for name, value in (("low", low), ("high", high), ("default", default if default is not None else low)):
            _check(isinstance(value, int) and value > 0 and value & (value - 1) == 0, name, value, "a power of two")
        _check(low <= high, "high", high, f"at least {low}")
        _set(self, default=low if default is None else default, low=low, high=high)
        _check(self.default in self.values(), "default", default, f"from {low} to {high}")

    def values(self) -> tuple[int, ...]:
        return tuple(2**e for e in range(self.low.bit_length() - 1, self.high.bit_length()))


@dataclass(frozen=True, init=False)
class IntegerFragment(Fragment):
    """An int from `low` to `high`, both included."""

    low: int
    high: int

    def __init__(self, low: int, high: int, default: int | None = None) -> None:
        _check(low <= high, "high", high, f"at least {low}")
        _set(self, default=low if default is None else default, low=low, high=high)
        _check(self.default in self.values(), "default", default, f"from {low} to {high}")

    def values(self) -> tuple[int, ...]:
        return tuple(range(self.low, self.high + 1))


@dataclass(frozen=True, init=False)
class EnumFragment(Fragment):
    """One of the listed values (bool, int, float or str); the first is the default."""

    choices: tuple[Any, ...]

    def __init__(self, choices: Sequence[Any], default: Any = None) -> None:
        _check(len(choices) > 0, "choices", choices, "at least one value")
        for value in choices:
            _check(isinstance(value, (bool, int, float, str)), "choices", value, "bools, ints, floats and strings")
        _set(self, default=choices[0] if default is None else default, choices=tuple(choices))
        _check(self.default in self.choices, "default", default, f"one of {self.choices}")

    def values(self) -> tuple[Any, ...]:
        return self.choices


class BooleanFragment(EnumFragment):
    """False or True."""

    def __init__(self, default: bool = False) -> None:
        super().__init__((False, True), bool(default))


def _set(fragment: Fragment, **fields: Any) -> None:
    for name, value in fields.items():
        object.__setattr__(fragment, name, value)


def _check(condition: bool, name: str, value: Any, allowed: str) -> None:
    if not condition:
        raise exc.InvalidArgument(what=f"{name}={value!r}", instead=f"it must be {allowed}")


def register_tunable(name: str, fragment: Fragment) -> Any:
    """A choice that the config makes under the key `name`; returns the chosen value, a constant. Host code only."""
    return require("hl.register_tunable").register_tunable(name, fragment)
