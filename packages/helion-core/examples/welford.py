"""Layer norm with Welford's one-pass mean and variance, for rows too long to hold.

Parts of a row with count n, mean m and sum of squared deviations s combine as (Chan, Golub and LeVeque, 1979)
n = n1 + n2, m = m1 + (m2 - m1) * n2 / n, s = s1 + s2 + (m2 - m1)^2 * n1 * n2 / n.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from _harness import Case, main

import helion
import helion.language as hl


@helion.kernel()
def welford(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, eps: float = 1e-5) -> torch.Tensor:
    m, n = x.size()
    out = torch.empty_like(x)
    block_n = hl.register_block_size(n)
    for tile_m in hl.tile(m):
        count = hl.zeros([tile_m], dtype=torch.float32)
        mean = hl.zeros([tile_m], dtype=torch.float32)
        squares = hl.zeros([tile_m], dtype=torch.float32)
        for tile_n in hl.tile(n, block_size=block_n):
            part = x[tile_m, tile_n].to(torch.float32)
            size = (tile_n.end - tile_n.begin) * 1.0
            part_mean = part.sum(-1) / size
            deviation = torch.where(tile_n.index[None, :] < n, part - part_mean[:, None], 0.0)
            delta = part_mean - mean
            total = count + size
            squares = squares + (deviation * deviation).sum(-1) + delta * delta * count * size / total
            mean = mean + delta * size / total
            count = total
        scale = torch.rsqrt(squares / n + eps)
        for tile_n in hl.tile(n, block_size=block_n):
            normal = (x[tile_m, tile_n].to(torch.float32) - mean[:, None]) * scale[:, None]
            out[tile_m, tile_n] = (normal * weight[tile_n].to(torch.float32) + bias[tile_n].to(torch.float32)).to(
                x.dtype
            )
    return out


def reference(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.layer_norm(x, [x.size(1)], weight, bias)


def _case(device: str, dtype: torch.dtype, m: int, n: int) -> Case:
    x = torch.randn(m, n, device=device, dtype=dtype) + 30  # far from 0, where sums of squares would cancel
    weight, bias = (torch.randn(n, device=device, dtype=dtype) for _ in range(2))
    return Case(f"{m}x{n}", welford, (x, weight, bias), reference)


def cases(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield _case(device, dtype, 20, 5000)


def typical(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield _case(device, dtype, 1024, 65536)


if __name__ == "__main__":
    main()
