"""Random numbers from a seed: the same element of a tensor gets the same number whatever the tile sizes (Philox,
Salmon et al. 2011).

Name tiles in the shape, `hl.rand([tile_m, tile_n], seed)`, so that positions are known.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ._engine import run


def rand(shape: Sequence[Any], seed: Any, device: Any = None) -> Any:
    """float32 numbers in [0, 1). `seed`: an int, or a 0-d integer value or tensor. `device` is accepted and ignored."""
    return run("rand", shape, seed)


def randint(shape: Sequence[Any], low: int, high: int, seed: Any, device: Any = None) -> Any:
    """int32 numbers in [low, high)."""
    return run("randint", shape, low, high, seed)


def rand4x(shape: Sequence[Any], seed: Any) -> tuple[Any, Any, Any, Any]:
    """Four independent values of `shape`, float32 in [0, 1), for the price of one run of Philox."""
    return run("rand4x", shape, seed)  # type: ignore[no-any-return]
