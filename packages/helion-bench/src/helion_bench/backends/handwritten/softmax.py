"""Softmax: one program a row, the row in registers."""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl

from .launch import launch


@triton.jit
def _softmax(out, x, stride_out, stride_x, cols, BLOCK: tl.constexpr):  # noqa: ANN001
    row = tl.program_id(0).to(tl.int64)
    at = tl.arange(0, BLOCK)
    inside = at < cols
    values = tl.load(x + row * stride_x + at, mask=inside, other=float("-inf")).to(tl.float32)
    weights = tl.exp2((values - tl.max(values, 0)) * 1.4426950408889634)
    result = weights / tl.sum(weights, 0)
    tl.store(out + row * stride_out + at, result.to(out.dtype.element_ty), mask=inside)


def warps(block: Any) -> int:
    """How many warps share a row of `block` elements: each thread holds about sixteen."""
    return min(32, max(1, block // 512))


def run(**inputs: Any) -> torch.Tensor:
    """Softmax of the rows of `x` [m, n]."""
    x = inputs["x"]
    out = torch.empty_like(x)
    block = triton.next_power_of_2(x.size(1))
    launch(_softmax, (x.size(0),), out, x, out.stride(0), x.stride(0), x.size(1), BLOCK=block, num_warps=warps(block))
    return out
