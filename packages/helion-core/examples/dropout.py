"""Dropout whose mask is never stored: the backward pass draws the same random numbers from the same seed.

out = where(rand > p, x, 0) / (1 - p). Random numbers depend on seed and position only, so tile sizes do not matter.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from _harness import Case, main

import helion
import helion.language as hl


@helion.kernel()
def dropout(x: torch.Tensor, p: float, seed: int) -> torch.Tensor:
    flat = x.reshape(-1)
    out = torch.empty_like(flat)
    for tile in hl.tile(flat.size(0)):
        keep = hl.rand([tile], seed=seed) > p
        out[tile] = torch.where(keep, flat[tile] / (1 - p), 0.0)
    return out.view(x.size())


@helion.kernel()
def dropout_backward(grad: torch.Tensor, p: float, seed: int) -> torch.Tensor:
    flat = grad.reshape(-1)
    out = torch.empty_like(flat)
    for tile in hl.tile(flat.size(0)):
        keep = hl.rand([tile], seed=seed) > p
        out[tile] = torch.where(keep, flat[tile] / (1 - p), 0.0)
    return out.view(grad.size())


def kept_fraction(x: torch.Tensor, p: float, seed: int) -> torch.Tensor:
    """Whether forward and backward agree, each element is 0 or scaled, and about as many are kept as should be."""
    out, grad = dropout(x, p, seed), dropout_backward(torch.ones_like(x), p, seed)
    agree = ((out == 0) == (grad == 0)).all()
    scaled = ((out == 0) | ((out - x / (1 - p)).abs() <= 0.01 * x.abs())).all()
    kept = (grad != 0).double().mean()
    other = dropout(x, p, seed + 1)
    return torch.stack([agree, scaled, (kept - (1 - p)).abs() < 0.05, ((out == 0) != (other == 0)).any()])


def reference(x: torch.Tensor, p: float, seed: int) -> torch.Tensor:
    return torch.ones(4, dtype=torch.bool, device=x.device)


def cases(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield Case(
        "p = 0.25, 90x70", kept_fraction, (torch.rand(90, 70, device=device, dtype=dtype) + 1, 0.25, 123), reference
    )


def typical(device: str, dtype: torch.dtype) -> Iterator[Case]:
    x = torch.rand(8192, 8192, device=device, dtype=dtype) + 1
    yield Case("p = 0.1, 8192x8192", kept_fraction, (x, 0.1, 2**40 + 7), reference)


if __name__ == "__main__":
    main()
