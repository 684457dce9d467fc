"""Product of bfloat16 activations and int16 weights: out = x @ w.to(bfloat16), the weights converted in registers."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from _harness import Case, main

import helion
import helion.language as hl

DTYPES = (torch.bfloat16,)


@helion.kernel()
def bf16_int16_gemm(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    m, n, k = x.size(0), w.size(1), x.size(1)
    out = torch.empty([m, n], dtype=x.dtype, device=x.device)
    for tile_m, tile_n in hl.tile([m, n]):
        acc = hl.zeros([tile_m, tile_n], dtype=torch.float32)
        for tile_k in hl.tile(k):
            acc = hl.dot(x[tile_m, tile_k], w[tile_k, tile_n].to(x.dtype), acc=acc)
        out[tile_m, tile_n] = acc.to(x.dtype)
    return out


def reference(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    return x @ w.to(torch.bfloat16).to(x.dtype)


def _case(device: str, dtype: torch.dtype, m: int, n: int, k: int) -> Case:
    w = torch.randint(-(2**15), 2**15, (k, n), device=device, dtype=torch.int16)
    return Case(f"{m}x{n}x{k}", bf16_int16_gemm, (torch.randn(m, k, device=device, dtype=dtype), w), reference)


def cases(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield _case(device, dtype, 40, 70, 50)


def typical(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield _case(device, dtype, 1024, 1280, 8192)


if __name__ == "__main__":
    main()
