"""RMS norm of rows and its gradients (Zhang and Sennrich, 2019).

y = x * r * weight with r = 1 / sqrt(mean(x^2) + eps). With g = grad * weight, dx = r * (g - x * r^2 * mean(g * x))
and dweight = sum over rows of grad * x * r.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from _harness import Case, main

import helion
import helion.language as hl


@helion.kernel()
def rms_norm(x: torch.Tensor, weight: torch.Tensor, eps: float = 1e-6) -> tuple[torch.Tensor, torch.Tensor]:
    """y, and r of every row for the gradients."""
    out = torch.empty_like(x)
    inverse = torch.empty([x.size(0)], dtype=torch.float32, device=x.device)
    for tile in hl.tile(x.size(0)):
        row = x[tile, :].to(torch.float32)
        r = torch.rsqrt(torch.mean(row * row, dim=-1) + eps)
        out[tile, :] = (row * r[:, None] * weight[:].to(torch.float32)).to(x.dtype)
        inverse[tile] = r
    return out, inverse


@helion.kernel()
def rms_norm_backward(
    grad: torch.Tensor, x: torch.Tensor, weight: torch.Tensor, inverse: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """dx and dweight; every program sums its share of the rows, torch sums the shares."""
    m, n = x.size()
    share = hl.register_block_size(m)
    dx = torch.empty_like(x)
    dweight = torch.empty([(m + share - 1) // share, n], dtype=torch.float32, device=x.device)
    for rows in hl.tile(m, block_size=share):
        total = hl.zeros([n], dtype=torch.float32)
        for tile in hl.tile(rows.begin, rows.end):
            row, g = x[tile, :].to(torch.float32), grad[tile, :].to(torch.float32)
            r = inverse[tile, None]
            weighted = g * weight[:].to(torch.float32)
            dx[tile, :] = (r * (weighted - row * r * r * (weighted * row).mean(-1, keepdim=True))).to(x.dtype)
            total += (g * row * r).sum(0)
        dweight[rows.id, :] = total
    return dx, dweight.sum(0).to(weight.dtype)


def forward(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return rms_norm(x, weight)[0]


def gradients(grad: torch.Tensor, x: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor, ...]:
    _, inverse = rms_norm(x, weight)
    return rms_norm_backward(grad, x, weight, inverse)


def reference(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.rms_norm(x, [x.size(1)], weight, 1e-6)


def reference_gradients(grad: torch.Tensor, *args: torch.Tensor) -> tuple[torch.Tensor, ...]:
    inputs = [a.requires_grad_() for a in args]
    return torch.autograd.grad(reference(*inputs), inputs, grad)


def _cases(device: str, dtype: torch.dtype, m: int, n: int) -> Iterator[Case]:
    grad, x = (torch.randn(m, n, device=device, dtype=dtype) for _ in range(2))
    weight = torch.randn(n, device=device, dtype=dtype)
    yield Case(f"forward, {m}x{n}", forward, (x, weight), reference)
    yield Case(f"backward, {m}x{n}", gradients, (grad, x, weight), reference_gradients)


def cases(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield from _cases(device, dtype, 37, 100)
    yield from _cases(device, dtype, 3, 256)


def typical(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield from _cases(device, dtype, 8192, 4096)


if __name__ == "__main__":
    main()
