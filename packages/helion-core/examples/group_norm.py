"""Group norm (Wu and He, 2018) and its gradients, for x of shape [batch, channels, length].

The channels / groups channels of a group share mean and variance; weight and bias are per channel. The gradients are
those of layer norm over [channels of a group, length], with sums over batch and length for weight and bias.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from _harness import Case, main

import helion
import helion.language as hl


@helion.kernel()
def group_norm(
    x: torch.Tensor, groups: hl.constexpr, weight: torch.Tensor, bias: torch.Tensor, eps: float = 1e-5
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """y, and the mean and rstd of every (batch, group)."""
    batch, channels, length = x.size()
    width = channels // groups
    grouped = x.view(batch * groups, width, length)
    weights, biases = weight.view(groups, width), bias.view(groups, width)
    out = torch.empty_like(grouped)
    mean = torch.empty([batch * groups], dtype=torch.float32, device=x.device)
    rstd = torch.empty_like(mean)
    for i in hl.grid(batch * groups):
        group = i % groups
        values = grouped[i, :, :].to(torch.float32)
        variance, average = torch.var_mean(values, dim=[0, 1], correction=0)
        scale = torch.rsqrt(variance + eps)
        normal = (values - average) * scale
        out[i, :, :] = (
            normal * weights[group, :, None].to(torch.float32) + biases[group, :, None].to(torch.float32)
        ).to(x.dtype)
        mean[i] = average
        rstd[i] = scale
    return out.view(batch, channels, length), mean, rstd


@helion.kernel()
def group_norm_backward(
    grad: torch.Tensor,
    x: torch.Tensor,
    groups: hl.constexpr,
    weight: torch.Tensor,
    mean: torch.Tensor,
    rstd: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    batch, channels, length = x.size()
    width = channels // groups
    grads, grouped = grad.view(batch * groups, width, length), x.view(batch * groups, width, length)
    weights = weight.view(groups, width)
    dx = torch.empty_like(grouped)
    dweight = torch.empty([batch * groups, width], dtype=torch.float32, device=x.device)
    dbias = torch.empty_like(dweight)
    for i in hl.grid(batch * groups):
        g = grads[i, :, :].to(torch.float32)
        normal = (grouped[i, :, :].to(torch.float32) - mean[i]) * rstd[i]
        weighted = g * weights[i % groups, :, None].to(torch.float32)
        count = width * length
        inner = weighted - weighted.sum() / count - normal * ((weighted * normal).sum() / count)
        dx[i, :, :] = (inner * rstd[i]).to(x.dtype)
        dweight[i, :] = (g * normal).sum(-1)
        dbias[i, :] = g.sum(-1)
    totals = (t.view(batch, channels).sum(0).to(weight.dtype) for t in (dweight, dbias))
    return dx.view(batch, channels, length), *totals


def forward(x: torch.Tensor, groups: int, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    return group_norm(x, groups, weight, bias)[0]


def gradients(
    grad: torch.Tensor, x: torch.Tensor, groups: int, weight: torch.Tensor, bias: torch.Tensor
) -> tuple[torch.Tensor, ...]:
    _, mean, rstd = group_norm(x, groups, weight, bias)
    return group_norm_backward(grad, x, groups, weight, mean, rstd)


def reference(x: torch.Tensor, groups: int, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.group_norm(x, groups, weight, bias)


def reference_gradients(
    grad: torch.Tensor, x: torch.Tensor, groups: int, weight: torch.Tensor, bias: torch.Tensor
) -> tuple[torch.Tensor, ...]:
    inputs = [a.requires_grad_() for a in (x, weight, bias)]
    return torch.autograd.grad(reference(x, groups, weight, bias), inputs, grad)


def _cases(device: str, dtype: torch.dtype, batch: int, channels: int, length: int, groups: int) -> Iterator[Case]:
    grad, x = (torch.randn(batch, channels, length, device=device, dtype=dtype) for _ in range(2))
    weight, bias = (torch.randn(channels, device=device, dtype=dtype) for _ in range(2))
    name = f"{batch}x{channels}x{length} in {groups}"
    yield Case(f"forward, {name}", forward, (x, groups, weight, bias), reference)
    yield Case(f"backward, {name}", gradients, (grad, x, groups, weight, bias), reference_gradients)


def cases(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield from _cases(device, dtype, 2, 12, 35, 4)
    yield from _cases(device, dtype, 3, 8, 16, 1)


def typical(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield from _cases(device, dtype, 32, 256, 1024, 32)


if __name__ == "__main__":
    main()
