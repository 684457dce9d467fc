"""Rows that begin at any element: their whole vectors of memory, and the few elements before and behind them.

Of rows of 50257 bfloat16 elements, one in eight begins at a multiple of 16 bytes, so that each element is a load of its
own. The memory of all rows together, though, is a matrix of aligned vectors (`as_vectors`). A row has most of them to
itself (`whole_vectors`), and shares two with its neighbours, of which it takes its own elements (`ends`). Nothing of
another row is read or written.
"""

from __future__ import annotations

from typing import Any

import torch

import helion.language as hl

LANES = 8  # 16 bytes of the narrowest dtype
SHORTEST = 2 * LANES  # row of which both ends are taken apart


def as_vectors(x: torch.Tensor) -> torch.Tensor:
    """The memory of `x`, which is contiguous, as [x.numel() // LANES, LANES]; what is left at its end is no vector."""
    return x.as_strided((x.numel() // LANES, LANES), (LANES, 1))


def whole_vectors(row: Any, n: int) -> tuple[Any, Any]:
    """The first vector that only row `row` of n elements has, and the one after its last."""
    return (row * n + LANES - 1) // LANES, (row * n + n) // LANES


def ends(row: Any, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Columns [2 * LANES] at both ends of row `row`, of n >= SHORTEST elements, and which are in no whole vector."""
    lane = hl.arange(2 * LANES)
    before, behind = -(row * n) % LANES, (row * n + n) % LANES
    column = torch.where(lane < LANES, lane, n - 2 * LANES + lane)
    return column, (lane < before) | (lane >= 2 * LANES - behind)
