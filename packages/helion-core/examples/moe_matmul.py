"""Mixture of experts: token t is multiplied by the matrix of its expert, out[t] = x[t] @ weight[expert[t]].

Tokens sorted by expert make each expert's work one product: rows of x are gathered into it and results scattered
back.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from _harness import Case, main

import helion
import helion.language as hl


@helion.kernel()
def moe_matmul(x: torch.Tensor, weight: torch.Tensor, order: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
    """order: tokens sorted by expert; offsets[e] to offsets[e + 1]: those of expert e."""
    experts, k, n = weight.size()
    out = torch.empty([x.size(0), n], dtype=x.dtype, device=x.device)
    for e in hl.grid(experts):
        start = offsets[e]
        for tile_t, tile_n in hl.tile([offsets[e + 1] - start, n]):
            tokens = order[start + tile_t.index]
            acc = hl.zeros([tile_t, tile_n], dtype=torch.float32)
            for tile_k in hl.tile(k):
                acc = torch.addmm(acc, x[tokens, tile_k], weight[e, tile_k, tile_n])
            out[tokens, tile_n] = acc.to(x.dtype)
    return out


def moe(x: torch.Tensor, weight: torch.Tensor, expert: torch.Tensor) -> torch.Tensor:
    experts, order = torch.sort(expert, stable=True)
    offsets = torch.searchsorted(experts, torch.arange(weight.size(0) + 1, device=x.device), out_int32=True)
    return moe_matmul(x, weight, order.to(torch.int32), offsets)


def reference(x: torch.Tensor, weight: torch.Tensor, expert: torch.Tensor) -> torch.Tensor:
    return torch.stack([row @ weight[e] for row, e in zip(x, expert.tolist(), strict=True)])


def _case(device: str, dtype: torch.dtype, tokens: int, experts: int, n: int, k: int) -> Case:
    x, weight = (
        torch.randn(tokens, k, device=device, dtype=dtype),
        torch.randn(experts, k, n, device=device, dtype=dtype),
    )
    expert = torch.randint(0, experts - 1, (tokens,), device=device)  # the last expert has no tokens
    return Case(f"{tokens} tokens, {experts} of {k}x{n}", moe, (x, weight / k**0.5, expert), reference)


def cases(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield _case(device, dtype, 50, 4, 40, 70)


def typical(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield _case(device, dtype, 4096, 16, 1024, 512)


if __name__ == "__main__":
    main()
