"""Matrix-vector products with chosen matrices, as for the experts of one token: out[i] = weight[index[i]] @ x."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from _harness import Case, main

import helion
import helion.language as hl


@helion.kernel()
def gather_gemv(weight: torch.Tensor, index: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """weight is [experts, n, k]; index holds the chosen experts; x is [k]."""
    chosen, n, k = index.size(0), weight.size(1), weight.size(2)
    out = torch.empty([chosen, n], dtype=x.dtype, device=x.device)
    for tile_i, tile_n in hl.tile([chosen, n], block_size=[1, None]):
        expert = index[tile_i.begin]
        acc = hl.zeros([tile_n], dtype=torch.float32)
        for tile_k in hl.tile(k):
            acc += (weight[expert, tile_n, tile_k].to(torch.float32) * x[tile_k].to(torch.float32)).sum(-1)
        out[tile_i.begin, tile_n] = acc.to(x.dtype)
    return out


def reference(weight: torch.Tensor, index: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return weight[index] @ x


def _case(device: str, dtype: torch.dtype, experts: int, n: int, k: int) -> Case:
    weight, x = torch.randn(experts, n, k, device=device, dtype=dtype), torch.randn(k, device=device, dtype=dtype)
    index = torch.randint(0, experts, (2,), device=device)
    return Case(f"2 of {experts}x{n}x{k}", gather_gemv, (weight, index, x), reference)


def cases(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield _case(device, dtype, 5, 50, 70)


def typical(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield _case(device, dtype, 8, 4096, 4096)


if __name__ == "__main__":
    main()
