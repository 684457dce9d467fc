"""Squeeze and excitation (Hu et al., 2017) as two matrix products: out = x * sigmoid(relu(x @ a) @ b).

x is [m, n], a is [n, k], b is [k, n] with k small: each program holds relu(x @ a) for its rows.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from _harness import Case, main

import helion
import helion.language as hl


@helion.kernel()
def squeeze_excitation(x: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    m, n = x.size()
    k = hl.specialize(a.size(1))
    out = torch.empty_like(x)
    for tile_m in hl.tile(m):
        squeezed = hl.zeros([tile_m, k], dtype=torch.float32)
        for tile_n in hl.tile(n):
            squeezed = torch.addmm(squeezed, x[tile_m, tile_n], a[tile_n, :])
        hidden = torch.relu(squeezed).to(x.dtype)
        for tile_n in hl.tile(n):
            gate = torch.sigmoid(hl.dot(hidden, b[:, tile_n]))
            out[tile_m, tile_n] = (x[tile_m, tile_n].to(torch.float32) * gate).to(x.dtype)
    return out


def reference(x: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return x * torch.sigmoid(torch.relu(x @ a) @ b)


def _case(device: str, dtype: torch.dtype, m: int, n: int, k: int) -> Case:
    x = torch.randn(m, n, device=device, dtype=dtype)
    a, b = (
        torch.randn(n, k, device=device, dtype=dtype) / n**0.5,
        torch.randn(k, n, device=device, dtype=dtype) / k**0.5,
    )
    return Case(f"{m}x{n}x{k}", squeeze_excitation, (x, a, b), reference)


def cases(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield _case(device, dtype, 40, 100, 24)
    yield _case(device, dtype, 17, 64, 3)


def typical(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield _case(device, dtype, 4096, 1024, 64)


if __name__ == "__main__":
    main()
