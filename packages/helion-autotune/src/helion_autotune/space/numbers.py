"""Numeric parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from helion_autotune.errors import InvalidParameter
from helion_autotune.space.ordered import Ordered

if TYPE_CHECKING:
    from helion_autotune.points import Value


def _is_int(value: Value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


class PowerOfTwo(Ordered):
    """A power of two from ``low`` to ``high``, both included; a step doubles or halves."""

    kind: ClassVar[str] = "power_of_two"

    def __init__(self, low: int, high: int, default: int | None = None) -> None:
        for name, limit in (("low", low), ("high", high)):
            if not _is_int(limit) or limit < 1 or limit & (limit - 1):
                raise InvalidParameter(f"{name}={limit!r} is not a power of two")
        if low > high:
            raise InvalidParameter(f"low={low} is above high={high}")
        self.low, self.high = low, high
        ladder = [1 << e for e in range(low.bit_length() - 1, high.bit_length())]
        super().__init__(ladder, ladder[len(ladder) // 2] if default is None else default)

    def check(self, value: Value) -> str | None:
        if not _is_int(value) or value not in self._ladder:
            return f"{value!r} is not a power of two from {self.low} to {self.high}"
        return None

    def repair(self, value: Value) -> Value:
        if not _is_int(value) and not isinstance(value, float):
            return self.default
        return min(self._ladder, key=lambda v: (abs(v.bit_length() - max(1, int(value)).bit_length()), abs(v - value)))

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "low": self.low, "high": self.high, "default": self.default}


class Integer(Ordered):
    """An integer from ``low`` to ``high``, both included; a step adds or subtracts one."""

    kind: ClassVar[str] = "integer"

    def __init__(self, low: int, high: int, default: int | None = None) -> None:
        if not (_is_int(low) and _is_int(high)) or low > high:
            raise InvalidParameter(f"limits {low!r}..{high!r} leave no integer")
        self.low, self.high = low, high
        super().__init__(list(range(low, high + 1)), low if default is None else default)

    def check(self, value: Value) -> str | None:
        if not _is_int(value) or not self.low <= value <= self.high:
            return f"{value!r} is not an integer from {self.low} to {self.high}"
        return None

    def repair(self, value: Value) -> Value:
        if not _is_int(value) and not isinstance(value, float):
            return self.default
        return min(max(int(value), self.low), self.high)

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "low": self.low, "high": self.high, "default": self.default}
