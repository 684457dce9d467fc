"""Kullback-Leibler divergence of rows: sum over j of target * (log(target) - input), the input given as log
probabilities.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from _harness import Case, main

import helion
import helion.language as hl


@helion.kernel()
def kl_rows(log_input: torch.Tensor, target: torch.Tensor, log_target: bool) -> torch.Tensor:
    """The divergence of every row. The `if` is on a host value, so only one branch is compiled."""
    m, n = log_input.size()
    out = torch.empty([m], dtype=torch.float32, device=log_input.device)
    for tile_m in hl.tile(m):
        acc = hl.zeros([tile_m], dtype=torch.float32)
        for tile_n in hl.tile(n):
            q = log_input[tile_m, tile_n].to(torch.float32)
            p = target[tile_m, tile_n].to(torch.float32)
            if log_target:
                terms = torch.exp(p) * (p - q)
            else:
                terms = torch.where(p > 0, p * (torch.log(p) - q), 0.0)
            acc += terms.sum(-1)
        out[tile_m] = acc
    return out


def kl_div(log_input: torch.Tensor, target: torch.Tensor, log_target: bool) -> torch.Tensor:
    return kl_rows(log_input, target, log_target).sum() / log_input.size(0)


def reference(log_input: torch.Tensor, target: torch.Tensor, log_target: bool) -> torch.Tensor:
    return torch.nn.functional.kl_div(log_input, target, reduction="batchmean", log_target=log_target)


def _cases(device: str, dtype: torch.dtype, m: int, n: int) -> Iterator[Case]:
    log_input = torch.randn(m, n, device=device).log_softmax(-1).to(dtype)
    target = (2 * torch.randn(m, n, device=device)).softmax(-1).to(dtype)
    target[0, : n // 2] = 0
    yield Case(f"probabilities, {m}x{n}", kl_div, (log_input, target, False), reference)
    logs = (2 * torch.randn(m, n, device=device)).log_softmax(-1).to(dtype)
    yield Case(f"log probabilities, {m}x{n}", kl_div, (log_input, logs, True), reference)


def cases(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield from _cases(device, dtype, 21, 150)


def typical(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield from _cases(device, dtype, 4096, 32000)


if __name__ == "__main__":
    main()
