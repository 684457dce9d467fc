"""Softmax over the first dimension of jagged rows: row i is values[offsets[i]:offsets[i + 1], :], each of its
columns sums to 1.

Maximum and sum are carried over parts of the row, as in softmax_online; lanes beyond a row's end do not count.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from _harness import Case, main

import helion
import helion.language as hl


@helion.kernel()
def jagged_softmax(values: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
    rows, features = offsets.size(0) - 1, values.size(1)
    out = torch.zeros_like(values)
    for tile_r, tile_f in hl.tile([rows, features]):
        starts = offsets[tile_r]
        lengths = offsets[tile_r + 1] - starts
        high = hl.full([tile_r, tile_f], float("-inf"), dtype=torch.float32)
        total = hl.zeros([tile_r, tile_f], dtype=torch.float32)
        for tile_j in hl.jagged_tile(lengths):
            index = starts[:, None] + tile_j.index[None, :]
            part = values[index, tile_f].to(torch.float32)
            new_high = torch.maximum(high, part.amax(1))
            base = torch.where(new_high == float("-inf"), 0.0, new_high)  # rows that are empty
            total = total * torch.exp(high - base) + torch.exp(part - base[:, None, :]).sum(1)
            high = new_high
        for tile_j in hl.jagged_tile(lengths):
            index = starts[:, None] + tile_j.index[None, :]
            part = values[index, tile_f].to(torch.float32)
            out[index, tile_f] = (torch.exp(part - high[:, None, :]) / total[:, None, :]).to(values.dtype)
    return out


def reference(values: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
    return torch.cat([row.softmax(0) for row in values.tensor_split(offsets[1:-1].cpu())])


def _case(device: str, dtype: torch.dtype, lengths: list[int], features: int) -> Case:
    values = 3 * torch.randn(sum(lengths), features, device=device, dtype=dtype) - 5
    offsets = torch.tensor([0, *lengths], device=device).cumsum(0)
    return Case(f"{len(lengths)} rows, {sum(lengths)}x{features}", jagged_softmax, (values, offsets), reference)


def cases(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield _case(device, dtype, [3, 0, 17, 1, 40], 20)


def typical(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield _case(device, dtype, [(37 * i) % 512 for i in range(512)], 128)


if __name__ == "__main__":
    main()
