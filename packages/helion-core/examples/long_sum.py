"""Sums of long rows, out[i] = sum(x[i, :]), in three ways."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from _harness import Case, main

import helion
import helion.language as hl


@helion.kernel()
def long_sum(x: torch.Tensor) -> torch.Tensor:
    """Rows in full; a config with `reduction_loops` reads them in parts."""
    out = torch.empty([x.size(0)], dtype=x.dtype, device=x.device)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile, :].sum(-1)
    return out


@helion.kernel()
def long_sum_of_parts(x: torch.Tensor) -> torch.Tensor:
    """Every part is summed, and the sums of the parts."""
    m, n = x.size()
    out = torch.empty([m], dtype=x.dtype, device=x.device)
    for tile_m in hl.tile(m):
        acc = hl.zeros([tile_m], dtype=torch.float32)
        for tile_n in hl.tile(n):
            acc += x[tile_m, tile_n].to(torch.float32).sum(-1)
        out[tile_m] = acc
    return out


@helion.kernel()
def long_sum_at_the_end(x: torch.Tensor) -> torch.Tensor:
    """Parts are added lane by lane, and the lanes summed once."""
    m, n = x.size()
    out = torch.empty([m], dtype=x.dtype, device=x.device)
    block_n = hl.register_block_size(n)
    for tile_m in hl.tile(m):
        acc = hl.zeros([tile_m, block_n], dtype=torch.float32)
        for tile_n in hl.tile(n, block_size=block_n):
            acc += x[tile_m, tile_n]
        out[tile_m] = acc.sum(-1)
    return out


def reference(x: torch.Tensor) -> torch.Tensor:
    return x.sum(-1)


KERNELS = (long_sum, long_sum_of_parts, long_sum_at_the_end)


def cases(device: str, dtype: torch.dtype) -> Iterator[Case]:
    for kernel in KERNELS:
        yield Case(f"{kernel.name}, 3x5000", kernel, (torch.randn(3, 5000, device=device, dtype=dtype),), reference)
        yield Case(f"{kernel.name}, 9x1", kernel, (torch.randn(9, 1, device=device, dtype=dtype),), reference)


def typical(device: str, dtype: torch.dtype) -> Iterator[Case]:
    x = torch.randn(64, 2**17, device=device, dtype=dtype)
    for kernel in KERNELS:
        yield Case(f"{kernel.name}, 64x131072", kernel, (x,), reference)


if __name__ == "__main__":
    main()
