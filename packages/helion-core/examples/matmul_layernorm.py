"""Layer norm of the rows of a product: out = layer_norm(x @ y) * weight + bias, each program holding rows in full."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from _harness import Case, main

import helion
import helion.language as hl


@helion.kernel()
def matmul_layernorm(
    x: torch.Tensor, y: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, eps: float = 1e-5
) -> torch.Tensor:
    m, k = x.size()
    n = hl.specialize(y.size(1))
    out = torch.empty([m, n], dtype=x.dtype, device=x.device)
    for tile_m in hl.tile(m):
        acc = hl.zeros([tile_m, n], dtype=torch.float32)
        for tile_k in hl.tile(k):
            acc = torch.addmm(acc, x[tile_m, tile_k], y[tile_k, :])
        variance, mean = torch.var_mean(acc, dim=-1, keepdim=True, correction=0)
        normal = (acc - mean) * torch.rsqrt(variance + eps)
        out[tile_m, :] = (normal * weight[:].to(torch.float32) + bias[:].to(torch.float32)).to(x.dtype)
    return out


def reference(x: torch.Tensor, y: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.layer_norm(x @ y, [y.size(1)], weight, bias)


def _case(device: str, dtype: torch.dtype, m: int, n: int, k: int) -> Case:
    x, y = torch.randn(m, k, device=device, dtype=dtype), torch.randn(k, n, device=device, dtype=dtype)
    weight, bias = (torch.randn(n, device=device, dtype=dtype) for _ in range(2))
    return Case(f"{m}x{n}x{k}", matmul_layernorm, (x, y, weight, bias), reference)


def cases(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield _case(device, dtype, 40, 100, 50)


def typical(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield _case(device, dtype, 4096, 400, 1024)


if __name__ == "__main__":
    main()
