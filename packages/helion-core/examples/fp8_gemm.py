"""Product of float8 matrices with a scale per tensor: out = (x @ y) * scale_x * scale_y, accumulated in float32."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from _harness import Case, main

import helion
import helion.language as hl

DTYPES = (torch.float16, torch.bfloat16)  # of the result
UNSUPPORTED = {"sm_80": "has no float8 e4m3fn"}


@helion.kernel()
def fp8_gemm(
    x: torch.Tensor, y: torch.Tensor, scale_x: torch.Tensor, scale_y: torch.Tensor, dtype: torch.dtype
) -> torch.Tensor:
    m, n, k = x.size(0), y.size(1), x.size(1)
    out = torch.empty([m, n], dtype=dtype, device=x.device)
    for tile_m, tile_n in hl.tile([m, n]):
        acc = hl.zeros([tile_m, tile_n], dtype=torch.float32)
        for tile_k in hl.tile(k):
            acc = hl.dot(x[tile_m, tile_k], y[tile_k, tile_n], acc=acc)
        out[tile_m, tile_n] = (acc * scale_x[()] * scale_y[()]).to(dtype)
    return out


def reference(
    x: torch.Tensor, y: torch.Tensor, scale_x: torch.Tensor, scale_y: torch.Tensor, dtype: torch.dtype
) -> torch.Tensor:
    return x @ y * scale_x * scale_y


def _case(device: str, dtype: torch.dtype, m: int, n: int, k: int) -> Case:
    x = torch.randn(m, k, device=device).to(torch.float8_e4m3fn)
    y = torch.randn(n, k, device=device).to(torch.float8_e4m3fn).t()
    scales = (torch.tensor(0.5, device=device), torch.tensor(0.125, device=device))
    return Case(f"{m}x{n}x{k}", fp8_gemm, (x, y, *scales, dtype), reference)


def cases(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield _case(device, dtype, 50, 70, 96)
    yield _case(device, dtype, 16, 16, 40)


def typical(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield _case(device, dtype, 4096, 4096, 4096)


if __name__ == "__main__":
    main()
