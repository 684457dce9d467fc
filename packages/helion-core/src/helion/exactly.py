"""Remembering results by arguments among which 1, 1.0 and True are three, and 0.0 and -0.0 two.

To Python they are equal, so functools.cache takes one for another; dtypes and signs depend on which it is.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

Result = TypeVar("Result")


def exact(value: Any) -> Hashable:
    """What stands for `value`, a number or anything hashable, in a key."""
    if isinstance(value, tuple):
        return type(value), tuple([exact(v) for v in value])
    if isinstance(value, float):
        return type(value), float.hex(value)
    return (type(value), value) if isinstance(value, int) else value


def exactly_cached(function: Callable[..., Result]) -> Callable[..., Result]:
    """As functools.cache, for positional arguments."""
    found: dict[Hashable, Result] = {}

    @functools.wraps(function)
    def cached(*args: Any) -> Result:
        key = exact(args)
        if key not in found:
            found[key] = function(*args)
        return found[key]

    return cached
