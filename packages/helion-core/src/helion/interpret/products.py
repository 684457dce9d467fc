"""Matrix products of real tensors, accumulated in the width that compiled kernels have."""

from __future__ import annotations

from typing import Any

import torch

_E2M1 = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0)


def dot(a: torch.Tensor, b: torch.Tensor, acc: Any, out_dtype: torch.dtype | None) -> torch.Tensor:
    wide = torch.int32 if a.dtype in (torch.int8, torch.uint8) else torch.float32
    wide = torch.float64 if a.dtype is torch.float64 else wide
    result = torch.matmul(a.to(wide), b.to(wide))
    if acc is not None:
        result = result + acc
    return result.to(out_dtype or (acc.dtype if isinstance(acc, torch.Tensor) else wide))


def dot_scaled(
    a: torch.Tensor, a_scale: Any, a_format: str, b: torch.Tensor, b_scale: Any, b_format: str,
    acc: Any, out_dtype: Any,
) -> torch.Tensor:  # fmt: skip
    left = _unpacked(a, a_format) * _scales(a_scale)
    right = _unpacked(b.T, b_format) * _scales(b_scale)
    result = left @ right.T
    return (result if acc is None else result + acc).to(out_dtype or torch.float32)


def _unpacked(x: torch.Tensor, form: str) -> torch.Tensor:
    """[rows, K] in float32; e2m1 holds two elements a byte, the low half first."""
    if form != "e2m1":
        dtype = {"e4m3": torch.float8_e4m3fn, "e5m2": torch.float8_e5m2}.get(form)
        return (x.view(dtype) if dtype is not None and x.dtype is torch.uint8 else x).to(torch.float32)
    table = torch.tensor(_E2M1, device=x.device)
    halves = torch.stack([x & 15, x >> 4], -1).to(torch.int64)
    return table[halves].reshape(x.shape[0], -1)


def _scales(scale: torch.Tensor | None) -> torch.Tensor | float:
    if scale is None:
        return 1.0
    exponents = scale.view(torch.uint8).to(torch.float32) - 127
    return torch.exp2(exponents).repeat_interleave(32, dim=1)
