"""Layer normalisation: one program a row, the row in registers."""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl

from .launch import launch
from .softmax import warps


@triton.jit
def _layer_norm(out, x, weight, bias, stride_out, stride_x, cols, eps, BLOCK: tl.constexpr):  # noqa: ANN001
    row = tl.program_id(0).to(tl.int64)
    at = tl.arange(0, BLOCK)
    inside = at < cols
    values = tl.load(x + row * stride_x + at, mask=inside, other=0.0).to(tl.float32)
    centred = tl.where(inside, values - tl.sum(values, 0) / cols, 0.0)
    scale = tl.rsqrt(tl.sum(centred * centred, 0) / cols + eps)
    w = tl.load(weight + at, mask=inside, other=0.0).to(tl.float32)
    b = tl.load(bias + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + row * stride_out + at, (centred * scale * w + b).to(out.dtype.element_ty), mask=inside)


def run(**inputs: Any) -> torch.Tensor:
    """Layer normalisation of the rows of `x` [m, n]; `weight`, `bias` [n]."""
    x, weight, bias = inputs["x"], inputs["weight"], inputs["bias"]
    out = torch.empty_like(x)
    block = triton.next_power_of_2(x.size(1))
    launch(
        _layer_norm,
        (x.size(0),),
        out,
        x,
        weight,
        bias,
        out.stride(0),
        x.stride(0),
        x.size(1),
        1e-5,
        BLOCK=block,
        num_warps=warps(block),
    )
    return out
