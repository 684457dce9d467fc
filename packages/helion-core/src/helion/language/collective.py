"""Reductions and scans by functions of one's own, and running sums and products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ._engine import run


def reduce(fn: Callable[..., Any], x: Any, dim: int | None, other: Any = 0, keep_dims: bool = False) -> Any:
    """Reduces a device value, or a tuple of them together, along `dim` (None: all dims) with an associative,
    commutative `fn`.

    `fn(a, b)` combines two scalars; for tuples it takes two tuples or all scalars of the left, then of the right
    side, and returns a tuple. `other` is the identity (one per input, or one for all): lanes outside tiles and dims
    hold it. `fn` is ordinary Python over elementwise operations; it may use constants but no other device values
    (`UnsupportedOperation`).
    """
    return run("reduce", fn, x, dim, other, keep_dims)


def associative_scan(fn: Callable[..., Any], x: Any, dim: int, reverse: bool = False) -> Any:
    """Running results of an associative `fn` along `dim`, each including its own element; `fn` as for `reduce`.

    `reverse` runs from the last element to the first. The shape stays.
    """
    return run("associative_scan", fn, x, dim, reverse)


def cumsum(x: Any, dim: int, reverse: bool = False) -> Any:
    """Running sums along `dim`; ints give int64, half precision accumulates in float32."""
    return run("cumsum", x, dim, reverse)


def cumprod(x: Any, dim: int, reverse: bool = False) -> Any:
    """Running products along `dim`; dtypes as for `cumsum`."""
    return run("cumprod", x, dim, reverse)
