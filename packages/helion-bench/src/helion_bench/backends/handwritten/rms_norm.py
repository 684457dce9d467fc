"""Root-mean-square normalisation: one program a row, the row in registers."""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl

from .launch import launch
from .softmax import warps


@triton.jit
def _rms_norm(out, x, weight, stride_out, stride_x, cols, eps, BLOCK: tl.constexpr):  # noqa: ANN001
    row = tl.program_id(0).to(tl.int64)
    at = tl.arange(0, BLOCK)
    inside = at < cols
    values = tl.load(x + row * stride_x + at, mask=inside, other=0.0).to(tl.float32)
    scale = tl.rsqrt(tl.sum(values * values, 0) / cols + eps)
    w = tl.load(weight + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + row * stride_out + at, (values * scale * w).to(out.dtype.element_ty), mask=inside)


def run(**inputs: Any) -> torch.Tensor:
    """Normalisation of the rows of `x` [m, n]; `weight` [n]."""
    x, weight = inputs["x"], inputs["weight"]
    out = torch.empty_like(x)
    block = triton.next_power_of_2(x.size(1))
    launch(
        _rms_norm,
        (x.size(0),),
        out,
        x,
        weight,
        out.stride(0),
        x.stride(0),
        x.size(1),
        1e-5,
        BLOCK=block,
        num_warps=warps(block),
    )
    return out
