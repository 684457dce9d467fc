"""Products of groups of rows with a matrix each: out[start:end] = x[start:end] @ y[g], for group g of rows start to
end.

The groups follow one another in x; offsets, of length groups + 1, says where. Group sizes are known on the device
only.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import torch
from _harness import Case, main

import helion
import helion.language as hl


@helion.kernel()
def grouped_gemm(x: torch.Tensor, y: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
    """A program per group and column tile, which loops over the rows of its group."""
    groups, k, n = y.size()
    out = torch.empty([x.size(0), n], dtype=x.dtype, device=x.device)
    for tile_g, tile_n in hl.tile([groups, n], block_size=[1, None]):
        g = tile_g.begin
        for tile_m in hl.tile(offsets[g], offsets[g + 1]):
            acc = hl.zeros([tile_m, tile_n], dtype=torch.float32)
            for tile_k in hl.tile(k):
                acc = torch.addmm(acc, x[tile_m, tile_k], y[g, tile_k, tile_n])
            out[tile_m, tile_n] = acc.to(x.dtype)
    return out


@helion.kernel()
def grouped_gemm_persistent(x: torch.Tensor, y: torch.Tensor, offsets: torch.Tensor, workers: int) -> torch.Tensor:
    """A fixed number of programs, which take the tiles of all groups in turns."""
    groups, k, n = y.size()
    out = torch.empty([x.size(0), n], dtype=x.dtype, device=x.device)
    block_m = hl.register_block_size(16, 128)
    block_n = hl.register_block_size(16, 128)
    columns = (n + block_n - 1) // block_n
    for worker in hl.grid(workers):
        before = 0  # tiles of earlier groups
        for g in range(groups):
            start, end = offsets[g], offsets[g + 1]
            tiles = (end - start + block_m - 1) // block_m * columns
            first = (worker - before) % workers  # the worker's first tile in this group
            for t in hl.grid(first, tiles, workers):
                row = start + t // columns * block_m + hl.arange(block_m)
                column = t % columns * block_n + hl.arange(block_n)
                inside = row[:, None] < end
                acc = hl.zeros([block_m, block_n], dtype=torch.float32)
                for tile_k in hl.tile(k):
                    left = hl.load(x, [row, tile_k], extra_mask=inside)
                    right = hl.load(y, [g, tile_k, column], extra_mask=column[None, :] < n)
                    acc = torch.addmm(acc, left, right)
                hl.store(out, [row, column], acc.to(x.dtype), extra_mask=inside & (column[None, :] < n))
            before = before + tiles
    return out


def reference(x: torch.Tensor, y: torch.Tensor, offsets: torch.Tensor, workers: int = 0) -> torch.Tensor:
    bounds = offsets.tolist()
    return torch.cat([x[start:end] @ y[g] for g, (start, end) in enumerate(itertools.pairwise(bounds))])


def _cases(device: str, dtype: torch.dtype, sizes: list[int], n: int, k: int, workers: int) -> Iterator[Case]:
    x = torch.randn(sum(sizes), k, device=device, dtype=dtype)
    y = torch.randn(len(sizes), k, n, device=device, dtype=dtype) / k**0.5
    offsets = torch.tensor([0, *sizes], device=device, dtype=torch.int32).cumsum(0, dtype=torch.int32)
    name = f"{len(sizes)} groups, {sum(sizes)}x{n}x{k}"
    yield Case(name, grouped_gemm, (x, y, offsets), reference)
    yield Case(f"persistent, {name}", grouped_gemm_persistent, (x, y, offsets, workers), reference)


def cases(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield from _cases(device, dtype, [37, 0, 5, 70], 40, 50, workers=3)


def typical(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield from _cases(device, dtype, [500, 1000, 123, 2000, 1, 900, 700, 300], 2048, 1024, workers=132)


if __name__ == "__main__":
    main()
