"""Layer norm of rows and its gradients.

y = (x - mean) * rstd * weight + bias, with rstd = 1 / sqrt(var + eps). With g = grad * weight and n = (x - mean) *
rstd, dx = rstd * (g - mean(g) - n * mean(g * n)), dweight = sum over rows of grad * n, dbias = sum over rows of
grad.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from _harness import Case, main

import helion
import helion.language as hl


@helion.kernel()
def layer_norm(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, eps: float = 1e-5
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """y, and the mean and rstd of every row for the gradients."""
    m = x.size(0)
    out = torch.empty_like(x)
    mean = torch.empty([m], dtype=torch.float32, device=x.device)
    rstd = torch.empty([m], dtype=torch.float32, device=x.device)
    for tile in hl.tile(m):
        row = x[tile, :].to(torch.float32)
        variance, average = torch.var_mean(row, dim=-1, keepdim=True, correction=0)
        scale = torch.rsqrt(variance + eps)
        out[tile, :] = ((row - average) * scale * weight[:].to(torch.float32) + bias[:].to(torch.float32)).to(x.dtype)
        mean[tile] = average.squeeze(-1)
        rstd[tile] = scale.squeeze(-1)
    return out, mean, rstd


@helion.kernel()
def layer_norm_backward(
    grad: torch.Tensor, x: torch.Tensor, weight: torch.Tensor, mean: torch.Tensor, rstd: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """dx, dweight, dbias; the sums over rows are taken per block of rows on the device, and over blocks by torch."""
    m, n = x.size()
    rows = hl.register_block_size(m)
    dx = torch.empty_like(x)
    blocks = (m + rows - 1) // rows
    dweight = torch.empty([blocks, n], dtype=torch.float32, device=x.device)
    dbias = torch.empty([blocks, n], dtype=torch.float32, device=x.device)
    for tile in hl.tile(m, block_size=rows):
        g = grad[tile, :].to(torch.float32)
        normal = (x[tile, :].to(torch.float32) - mean[tile, None]) * rstd[tile, None]
        weighted = g * weight[:].to(torch.float32)
        inner = weighted - weighted.mean(-1, keepdim=True) - normal * (weighted * normal).mean(-1, keepdim=True)
        dx[tile, :] = (inner * rstd[tile, None]).to(x.dtype)
        dweight[tile.id, :] = (g * normal).sum(0)
        dbias[tile.id, :] = g.sum(0)
    return dx, dweight.sum(0).to(weight.dtype), dbias.sum(0).to(weight.dtype)


def forward(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    return layer_norm(x, weight, bias)[0]


def gradients(
    grad: torch.Tensor, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor
) -> tuple[torch.Tensor, ...]:
    _, mean, rstd = layer_norm(x, weight, bias)
    return layer_norm_backward(grad, x, weight, mean, rstd)


def reference(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.layer_norm(x, [x.size(1)], weight, bias)


def reference_gradients(grad: torch.Tensor, *args: torch.Tensor) -> tuple[torch.Tensor, ...]:
    inputs = [a.requires_grad_() for a in args]
    return torch.autograd.grad(reference(*inputs), inputs, grad)


def _cases(device: str, dtype: torch.dtype, m: int, n: int) -> Iterator[Case]:
    grad, x = (torch.randn(m, n, device=device, dtype=dtype) for _ in range(2))
    weight, bias = (torch.randn(n, device=device, dtype=dtype) for _ in range(2))
    yield Case(f"forward, {m}x{n}", forward, (x + 3, weight, bias), reference)
    yield Case(f"backward, {m}x{n}", gradients, (grad, x, weight, bias), reference_gradients)


def cases(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield from _cases(device, dtype, 37, 100)
    yield from _cases(device, dtype, 3, 256)


def typical(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield from _cases(device, dtype, 4096, 5120)


if __name__ == "__main__":
    main()
