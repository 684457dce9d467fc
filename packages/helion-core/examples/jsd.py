"""Generalised Jensen-Shannon divergence of rows of log probabilities and its gradient, as used to distil models.

With P, Q the exponentials of target and input and M = beta P + (1 - beta) Q: loss = beta KL(P || M) + (1 - beta)
KL(Q || M), averaged over rows; beta = 0 and 1 are the two KL divergences. d loss / d input = (1 - beta) Q (log Q -
log M) for 0 < beta < 1.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from _harness import Case, main

import helion
import helion.language as hl


@helion.kernel()
def jsd_rows(log_q: torch.Tensor, log_p: torch.Tensor, beta: hl.constexpr) -> tuple[torch.Tensor, torch.Tensor]:
    """The divergence of every row, and the gradient with respect to log_q."""
    m, n = log_q.size()
    loss = torch.empty([m], dtype=torch.float32, device=log_q.device)
    grad = torch.empty_like(log_q)
    for tile_m in hl.tile(m):
        acc = hl.zeros([tile_m], dtype=torch.float32)
        for tile_n in hl.tile(n):
            x, y = log_q[tile_m, tile_n].to(torch.float32), log_p[tile_m, tile_n].to(torch.float32)
            q, p = torch.exp(x), torch.exp(y)
            if beta == 0.0:
                terms = p * (y - x)
                slope = -p
            elif beta == 1.0:
                terms = q * (x - y)
                slope = terms + q
            else:
                log_mixture = torch.log(beta * p + (1 - beta) * q)
                terms = beta * p * (y - log_mixture) + (1 - beta) * q * (x - log_mixture)
                slope = (1 - beta) * q * (x - log_mixture)
            acc += terms.sum(-1)
            grad[tile_m, tile_n] = (slope / m).to(log_q.dtype)
        loss[tile_m] = acc
    return loss, grad


def jsd(log_q: torch.Tensor, log_p: torch.Tensor, beta: float) -> tuple[torch.Tensor, torch.Tensor]:
    loss, grad = jsd_rows(log_q, log_p, beta)
    return loss.mean(), grad


def reference(log_q: torch.Tensor, log_p: torch.Tensor, beta: float) -> tuple[torch.Tensor, torch.Tensor]:
    log_q.requires_grad_()
    q, p = log_q.exp(), log_p.exp()
    if beta == 0.0:
        terms = p * (log_p - log_q)
    elif beta == 1.0:
        terms = q * (log_q - log_p)
    else:
        mixture = (beta * p + (1 - beta) * q).log()
        terms = beta * p * (log_p - mixture) + (1 - beta) * q * (log_q - mixture)
    loss = terms.sum(-1).mean()
    return loss.detach(), torch.autograd.grad(loss, log_q)[0]


def _cases(device: str, dtype: torch.dtype, m: int, n: int) -> Iterator[Case]:
    log_q, log_p = ((2 * torch.randn(m, n, device=device)).log_softmax(-1).to(dtype) for _ in range(2))
    for beta in (0.0, 0.5, 1.0):
        yield Case(f"beta {beta}, {m}x{n}", jsd, (log_q, log_p, beta), reference)


def cases(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield from _cases(device, dtype, 21, 150)


def typical(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield from _cases(device, dtype, 4096, 32000)


if __name__ == "__main__":
    main()
