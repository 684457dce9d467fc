"""Sums of jagged rows: row i of x is values[offsets[i]:offsets[i + 1], :], and out[i, :] its sum over the first
dimension.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from _harness import Case, main

import helion
import helion.language as hl


@helion.kernel()
def jagged_sum(values: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
    rows, features = offsets.size(0) - 1, values.size(1)
    out = torch.empty([rows, features], dtype=values.dtype, device=values.device)
    for tile_r, tile_f in hl.tile([rows, features]):
        starts = offsets[tile_r]
        lengths = offsets[tile_r + 1] - starts
        acc = hl.zeros([tile_r, tile_f], dtype=torch.float32)
        for tile_j in hl.jagged_tile(lengths):
            index = starts[:, None] + tile_j.index[None, :]
            acc += values[index, tile_f].to(torch.float32).sum(1)
        out[tile_r, tile_f] = acc.to(values.dtype)
    return out


def reference(values: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
    return torch.stack([row.sum(0) for row in values.tensor_split(offsets[1:-1].cpu())])


def _case(device: str, dtype: torch.dtype, lengths: list[int], features: int) -> Case:
    values = torch.randn(sum(lengths), features, device=device, dtype=dtype)
    offsets = torch.tensor([0, *lengths], device=device).cumsum(0)
    return Case(f"{len(lengths)} rows, {sum(lengths)}x{features}", jagged_sum, (values, offsets), reference)


def cases(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield _case(device, dtype, [3, 0, 17, 1, 40], 20)


def typical(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield _case(device, dtype, [(37 * i) % 512 for i in range(512)], 128)


if __name__ == "__main__":
    main()
