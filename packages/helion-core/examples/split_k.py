"""Matrix product with the inner dimension split over programs, whose parts are added atomically or behind a barrier.

For few rows and columns and a long inner dimension, where tiles of the result alone would leave most of the GPU
idle.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from _harness import Case, main

import helion
import helion.language as hl


@helion.kernel()
def matmul_split_k(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    m, n, k = x.size(0), y.size(1), x.size(1)
    out = torch.zeros([m, n], dtype=torch.float32, device=x.device)
    block_k = hl.register_block_size(min(k, 256))
    parts = (k + 3) // 4
    for tile_m, tile_n, outer_k in hl.tile([m, n, k], block_size=[None, None, parts]):
        acc = hl.zeros([tile_m, tile_n], dtype=torch.float32)
        for tile_k in hl.tile(outer_k.begin, outer_k.end, block_size=block_k):
            acc = torch.addmm(acc, x[tile_m, tile_k], y[tile_k, tile_n])
        hl.atomic_add(out, [tile_m, tile_n], acc)
    return out


@helion.kernel()
def matmul_split_k_barrier(x: torch.Tensor, y: torch.Tensor, parts: int) -> torch.Tensor:
    """Parts are written, and added in a fixed order once all are there: every run gives the same bits."""
    m, n, k = x.size(0), y.size(1), x.size(1)
    partial = torch.empty([parts, m, n], dtype=torch.float32, device=x.device)
    out = torch.empty([m, n], dtype=x.dtype, device=x.device)
    length = (k + parts - 1) // parts
    for tile_m, tile_n, tile_p in hl.tile([m, n, parts], block_size=[None, None, 1]):
        part = tile_p.begin
        acc = hl.zeros([tile_m, tile_n], dtype=torch.float32)
        for tile_k in hl.tile(part * length, min(k, (part + 1) * length)):
            acc = torch.addmm(acc, x[tile_m, tile_k], y[tile_k, tile_n])
        partial[part, tile_m, tile_n] = acc
    hl.barrier()
    for tile_m, tile_n in hl.tile([m, n]):
        total = hl.zeros([tile_m, tile_n], dtype=torch.float32)
        for part in range(parts):
            total += partial[part, tile_m, tile_n]
        out[tile_m, tile_n] = total.to(x.dtype)
    return out


def reference(x: torch.Tensor, y: torch.Tensor, parts: int = 1) -> torch.Tensor:
    return x @ y


def _cases(device: str, dtype: torch.dtype, m: int, n: int, k: int) -> Iterator[Case]:
    x, y = torch.randn(m, k, device=device, dtype=dtype), torch.randn(k, n, device=device, dtype=dtype) / k**0.5
    yield Case(f"atomic, {m}x{n}x{k}", matmul_split_k, (x, y), reference)
    yield Case(f"barrier, {m}x{n}x{k}", matmul_split_k_barrier, (x, y, 4), reference)


def cases(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield from _cases(device, dtype, 30, 50, 700)


def typical(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield from _cases(device, dtype, 64, 64, 32768)


if __name__ == "__main__":
    main()
