"""Rules over whole points.

A constraint is any callable that takes a point and returns None or True if the point is allowed, else False or a text
saying why not. The named ones here also serialise, so a space that uses only them can be stored with recorded runs.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from helion_autotune.points import Point

if TYPE_CHECKING:
    from collections.abc import Callable

    Rule = Callable[[Point], str | bool | None]


class Constraint(Protocol):
    """A rule that serialises: ``kind`` names its class, ``to_json`` gives its fields."""

    kind: ClassVar[str]

    def __call__(self, point: Point) -> str | bool | None: ...

    def to_json(self) -> dict[str, Any]: ...


def reason_against(rule: Rule, point: Point) -> str | None:
    """Why ``rule`` rejects ``point``, or None."""
    verdict = rule(point)
    if verdict is None or verdict is True:
        return None
    if verdict is False:
        return "rejected by " + (getattr(rule, "__name__", None) or repr(rule))
    return str(verdict)


def _numbers(value: object) -> list[float]:
    if isinstance(value, (list, tuple)):
        return [n for v in value for n in _numbers(v)]
    return [value] if isinstance(value, (int, float)) and not isinstance(value, bool) else []


@dataclass(frozen=True)
class ProductAtMost:
    """The product of all numbers under ``keys`` (lists are flattened) is at most ``limit``."""

    keys: tuple[str, ...]
    limit: float
    kind: ClassVar[str] = "product_at_most"

    def __call__(self, point: Point) -> str | None:
        product = math.prod(n for key in self.keys for n in _numbers(point.get(key)))
        return (
            f"product of {', '.join(self.keys)} is {product:g}, above {self.limit:g}" if product > self.limit else None
        )

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, **asdict(self), "keys": list(self.keys)}


@dataclass(frozen=True)
class Forbid:
    """Points that agree with all of ``values`` are not allowed."""

    values: dict[str, Any]
    kind: ClassVar[str] = "forbid"

    def __call__(self, point: Point) -> str | None:
        if all(point.get(key) == value for key, value in self.values.items()):
            return "not together: " + ", ".join(f"{k}={v!r}" for k, v in self.values.items())
        return None

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "values": self.values}
