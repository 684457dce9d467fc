"""Kernels for the tests of the command line."""

from __future__ import annotations

import torch

import helion
import helion.language as hl


@helion.kernel()
def matmul(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    m, k = x.size()
    k, n = y.size()
    out = torch.empty([m, n], dtype=x.dtype, device=x.device)
    for tile_m, tile_n in hl.tile([m, n]):
        acc = hl.zeros([tile_m, tile_n], dtype=torch.float32)
        for tile_k in hl.tile(k):
            acc = torch.addmm(acc, x[tile_m, tile_k], y[tile_k, tile_n])
        out[tile_m, tile_n] = acc
    return out


@helion.kernel(configs=[helion.Config(block_sizes=[64]), helion.Config(block_sizes=[128])])
def scale(x: torch.Tensor, factor: float = 2.0) -> torch.Tensor:
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] * factor
    return out


def scaled_product(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return scale(matmul(x, y).view(-1))


def typical(device, dtype):
    yield matmul, (torch.empty(512, 256, device=device, dtype=dtype), torch.empty(256, 384, device=device, dtype=dtype))
    yield scaled_product, (torch.empty(64, 64, device=device, dtype=dtype),) * 2
