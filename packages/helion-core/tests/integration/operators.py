"""Operators that several tests use."""

import torch
from torch import Tensor

import helion
import helion.language as hl
from helion.integration import as_op

fast = helion.kernel(config={"block_sizes": [16, 16]})


@fast
def fused(x: Tensor, y: Tensor, factor: float = 1.0, bias: Tensor | None = None, shift: hl.constexpr = 0) -> Tensor:
    out = torch.empty_like(x)
    for tile in hl.tile(x.size()):
        v = x[tile] * y[tile] * factor + shift
        if bias is not None:
            v = v + bias[tile]
        out[tile] = v
    return out


def keep(ctx, inputs, output):
    x, y, factor, bias, _ = inputs
    ctx.save_for_backward(x, y)
    ctx.factor, ctx.biased = factor, bias is not None


def gradients(ctx, grad):
    x, y = ctx.saved_tensors
    with torch.no_grad():
        return fused(grad, y, ctx.factor), fused(grad, x, ctx.factor), None, grad if ctx.biased else None, None


fused_op = fused.as_op("helion_tests::fused", backward=gradients, setup_context=keep)


@fast
def counted_up(x: Tensor, by: int) -> None:
    v = x.t()
    for tile in hl.tile(v.size()):
        v[tile] = v[tile] + by


counted_up_op = counted_up.as_op("helion_tests::counted_up")


def chain(x: Tensor, weights: list[Tensor], dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    first = fused(x, weights[0])
    return first.to(dtype), fused(first, weights[1], 2.0)


chain_op = as_op(chain, "helion_tests::chain")


@fast
def noise(x: Tensor) -> Tensor:
    out = torch.empty_like(x)
    for tile in hl.tile(x.size()):
        out[tile] = x[tile] + torch.rand_like(x[tile])
    return out


noise_op = noise.as_op("helion_tests::noise")
