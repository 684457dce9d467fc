"""A point of a search space: a plain mapping from parameter names to JSON values, and its canonical text."""

from __future__ import annotations

import hashlib
import json
from typing import Any, TypeAlias

Value: TypeAlias = Any
"""A JSON value: None, bool, int, float, str, or a list of these."""

Point: TypeAlias = dict[str, Value]


def canonical(value: object) -> str:
    """The one JSON text of a value: keys sorted, no spaces, NaN refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(value: object) -> str:
    """A short, stable hash (20 hexadecimal digits) of a JSON value."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:20]


def point_key(point: Point) -> str:
    """The identity of a point: equal points, in whatever key order, have equal keys."""
    return digest(point)
