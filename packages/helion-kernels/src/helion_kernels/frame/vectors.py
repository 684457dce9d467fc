"""Rows that begin at any element: their whole vectors of memory, and the few elements before and behind them.

Of rows of 50257 bfloat16 elements, one in eight begins at a multiple of 16 bytes, so that each element is a load of its
own; and where every row does, its last elements are no whole vector, of which a mask makes loads by elements, too. The
memory of all rows together, though, is a matrix of aligned vectors (`as_vectors`). A row has most of them to itself
(`whole_vectors`), and shares two with its neighbours, of which it takes its own elements (`ends`). Nothing of another
row is read or written.

A row is given by its index and the stride of rows. Indices of vectors and multiples of `stride % LANES` are all that is
computed, which 32 bits hold for tensors `in_reach`.
"""

from __future__ import annotations

from typing import Any

import torch

import helion.language as hl

LANES = 8  # 16 bytes of the narrowest dtype
SHORTEST = 2 * LANES  # row of which both ends are taken apart
LONGEST_BY_ELEMENTS = 4096  # row that is loaded element by element where vectors would have to be taken apart


def uneven(n: int) -> bool:
    """Whether rows of n elements are worth being taken apart: few begin or end where vectors of memory do."""
    return n > LONGEST_BY_ELEMENTS and n % LANES != 0


def in_reach(x: torch.Tensor) -> bool:
    """Whether the elements of rows `x` are neighbours, and 32 bits count its vectors, with room for a tile."""
    return x.stride(1) == 1 and x.size(0) * x.stride(0) < 2**30 * LANES


def as_vectors(x: torch.Tensor) -> torch.Tensor:
    """The memory of rows `x`, whose elements are neighbours, as [.., LANES]; what is left at its end is no vector."""
    count = (x.size(0) - 1) * x.stride(0) + x.size(1)
    return x.as_strided((count // LANES, LANES), (LANES, 1))


def whole_vectors(row: Any, stride: int, n: int) -> tuple[Any, Any]:
    """The first vector that only row `row` of n elements has, and the one after its last."""
    first, lane = _place(row, stride)
    return first + (lane + LANES - 1) // LANES, first + (lane + n) // LANES


def ends(row: Any, stride: int, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Columns [2 * LANES] at both ends of row `row` of n >= SHORTEST elements, and which are in no whole vector."""
    (_, begin), lane = _place(row, stride), hl.arange(2 * LANES)
    before, behind = -begin % LANES, (begin + n) % LANES
    column = torch.where(lane < LANES, lane, n - 2 * LANES + lane)
    return column, (lane < before) | (lane >= 2 * LANES - behind)


def columns_of(vectors: torch.Tensor, row: Any, stride: int) -> torch.Tensor:
    """Columns [vectors, LANES] of row `row`, given indices of its vectors in memory."""
    first, lane = _place(row, stride)
    return (vectors - first)[:, None] * LANES + hl.arange(LANES)[None, :] - lane


def _place(row: Any, stride: int) -> tuple[Any, Any]:
    """The vector in which row `row` begins, and the lane."""
    lanes = row * (stride % LANES)
    return row * (stride // LANES) + lanes // LANES, lanes % LANES
