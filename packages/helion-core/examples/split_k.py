"""Matrix product with the inner dimension split over programs, which add their parts to the result atomically.

For few rows and columns and a long inner dimension, where tiles of the result alone would leave most of the GPU idle.
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


def reference(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return x @ y


def _case(device: str, dtype: torch.dtype, m: int, n: int, k: int) -> Case:
    x, y = torch.randn(m, k, device=device, dtype=dtype), torch.randn(k, n, device=device, dtype=dtype) / k**0.5
    return Case(f"{m}x{n}x{k}", matmul_split_k, (x, y), reference)


def cases(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield _case(device, dtype, 30, 50, 700)


def typical(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield _case(device, dtype, 64, 64, 32768)


if __name__ == "__main__":
    main()
