"""Softmax of rows, exp(x - max) / sum(exp(x - max)), in three ways.

The online form is that of Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from _harness import Case, main

import helion
import helion.language as hl


@helion.kernel()
def softmax(x: torch.Tensor) -> torch.Tensor:
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile, :] = torch.softmax(x[tile, :], dim=1)
    return out


@helion.kernel()
def softmax_decomposed(x: torch.Tensor) -> torch.Tensor:
    """Two passes over rows held in full."""
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        row = x[tile, :].to(torch.float32)
        exp = torch.exp(row - torch.amax(row, dim=1, keepdim=True))
        out[tile, :] = (exp / torch.sum(exp, dim=1, keepdim=True)).to(x.dtype)
    return out


@helion.kernel()
def softmax_online(x: torch.Tensor) -> torch.Tensor:
    """Maximum and sum in one pass over parts of the rows, the results in another."""
    m, n = x.size()
    out = torch.empty_like(x)
    block_n = hl.register_block_size(n)
    for tile_m in hl.tile(m):
        high = hl.full([tile_m], float("-inf"), dtype=torch.float32)
        total = hl.zeros([tile_m], dtype=torch.float32)
        for tile_n in hl.tile(n, block_size=block_n):
            part = x[tile_m, tile_n].to(torch.float32)
            new_high = torch.maximum(high, torch.amax(part, dim=1))
            total = total * torch.exp(high - new_high) + torch.exp(part - new_high[:, None]).sum(dim=1)
            high = new_high
        for tile_n in hl.tile(n, block_size=block_n):
            part = x[tile_m, tile_n].to(torch.float32)
            out[tile_m, tile_n] = (torch.exp(part - high[:, None]) / total[:, None]).to(x.dtype)
    return out


def reference(x: torch.Tensor) -> torch.Tensor:
    return torch.softmax(x, dim=1)


KERNELS = (softmax, softmax_decomposed, softmax_online)


def cases(device: str, dtype: torch.dtype) -> Iterator[Case]:
    for kernel in KERNELS:
        for shape in ((37, 130), (5, 1)):
            x = 10 * torch.randn(shape, device=device, dtype=dtype)
            yield Case(f"{kernel.name}, {shape[0]}x{shape[1]}", kernel, (x,), reference)
        x = torch.tensor([[float("-inf"), 0, 0], [1e30, -1e30, 0], [-3e38, -3e38, 1]], device=device).to(dtype)
        yield Case(f"{kernel.name}, extreme", kernel, (x,), reference)


def typical(device: str, dtype: torch.dtype) -> Iterator[Case]:
    for kernel in KERNELS:
        yield Case(
            f"{kernel.name}, 8192x8192", kernel, (torch.randn(8192, 8192, device=device, dtype=dtype),), reference
        )


if __name__ == "__main__":
    main()
