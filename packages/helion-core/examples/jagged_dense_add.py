"""Sum of a jagged 2-D tensor and a dense one: out[i, j] = dense[i, j] + (values[offsets[i] + j] for j within row i,
else 0).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from _harness import Case, main

import helion
import helion.language as hl


@helion.kernel()
def jagged_dense_add(values: torch.Tensor, offsets: torch.Tensor, dense: torch.Tensor) -> torch.Tensor:
    """Two inner loops: up to the longest row of the tile the sum, from there on a copy."""
    rows, columns = dense.size()
    out = torch.empty_like(dense)
    for tile_r in hl.tile(rows):
        starts = offsets[tile_r]
        lengths = offsets[tile_r + 1] - starts
        longest = lengths.amax()
        for tile_j in hl.tile(0, longest):
            inside = tile_j.index[None, :] < lengths[:, None]
            part = hl.load(values, [starts[:, None] + tile_j.index[None, :]], extra_mask=inside)
            out[tile_r, tile_j] = dense[tile_r, tile_j] + part
        for tile_j in hl.tile(longest, columns):
            out[tile_r, tile_j] = dense[tile_r, tile_j]
    return out


def reference(values: torch.Tensor, offsets: torch.Tensor, dense: torch.Tensor) -> torch.Tensor:
    out = dense.clone()
    for i, row in enumerate(values.tensor_split(offsets[1:-1].cpu())):
        out[i, : row.size(0)] += row
    return out


def _case(device: str, dtype: torch.dtype, lengths: list[int], columns: int) -> Case:
    values = torch.randn(sum(lengths), device=device, dtype=dtype)
    offsets = torch.tensor([0, *lengths], device=device).cumsum(0)
    dense = torch.randn(len(lengths), columns, device=device, dtype=dtype)
    return Case(f"{len(lengths)} rows of {columns}", jagged_dense_add, (values, offsets, dense), reference)


def cases(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield _case(device, dtype, [3, 0, 17, 1, 40], 40)
    yield _case(device, dtype, [2, 5, 1], 70)


def typical(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield _case(device, dtype, [(37 * i) % 5000 for i in range(256)], 5000)


if __name__ == "__main__":
    main()
