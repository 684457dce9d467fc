"""Products of float8 matrices with scales for whole matrices or for rows and columns, as `torch._scaled_mm`.

out = (a @ b) * scale_a * scale_b + bias, accumulated in float32. The tensor cores of sm_90 keep 14 bits of a sum of
float8 products; without `use_fast_accum`, sums of one step along the inner dimension are therefore added up outside.
Every run gives the same bits. There is no derivative, as in torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

import helion.language as hl

from .frame import Call, kernel, operator, usable
from .frame.samples import Shape
from .frame.support import DTYPES, decline

SMALL: Shape = (20, 24, 48)
SHAPES: tuple[Shape, ...] = tuple(
    (m, n, k) for n, k in ((4096, 4096), (14336, 4096), (8192, 8192), (28672, 8192)) for m in (4096, 16, 512, 8192)
)
UNSUPPORTED = {"sm_80": "has no float8_e4m3fn"}
FLOAT8 = frozenset({torch.float8_e4m3fn, torch.float8_e5m2})


# --- kernel


@kernel("scaled_mm")
def scaled_mm_tiles(
    a: torch.Tensor, b: torch.Tensor, scale_a: torch.Tensor, scale_b: torch.Tensor, bias: torch.Tensor | None,
    dtype: torch.dtype, fast: bool,
) -> torch.Tensor:  # fmt: skip
    """a [m, k], b [k, n], scale_a [m] or [1], scale_b [n] or [1], bias [n]."""
    m, k, n = a.size(0), a.size(1), b.size(1)
    out = torch.empty([m, n], dtype=dtype, device=a.device)
    for tile_m, tile_n in hl.tile([m, n]):
        acc = hl.zeros([tile_m, tile_n], dtype=torch.float32)
        for tile_k in hl.tile(k):
            if fast:
                acc = hl.dot(a[tile_m, tile_k], b[tile_k, tile_n], acc=acc)
            else:
                acc = acc + hl.dot(a[tile_m, tile_k], b[tile_k, tile_n]) * 1.0  # the factor keeps the sum apart
        rows = scale_a[tile_m][:, None] if scale_a.size(0) > 1 else scale_a[0]
        columns = scale_b[tile_n][None, :] if scale_b.size(0) > 1 else scale_b[0]
        acc = acc * (rows * columns)
        if bias is not None:
            acc = acc + bias[tile_n].to(torch.float32)
        out[tile_m, tile_n] = acc.to(dtype)
    return out


# --- operator


def _forward(
    a: torch.Tensor, b: torch.Tensor, scale_a: torch.Tensor, scale_b: torch.Tensor, bias: torch.Tensor | None,
    dtype: torch.dtype, fast: bool,
) -> torch.Tensor:  # fmt: skip
    return scaled_mm_tiles(a, b, scale_a.reshape(-1), scale_b.reshape(-1), bias, dtype, fast)


def _fake(
    a: torch.Tensor, b: torch.Tensor, scale_a: torch.Tensor, scale_b: torch.Tensor, bias: torch.Tensor | None,
    dtype: torch.dtype, fast: bool,
) -> torch.Tensor:  # fmt: skip
    return torch.empty([a.size(0), b.size(1)], dtype=dtype, device=a.device)


scaled_mm_op = operator(
    "scaled_mm(Tensor a, Tensor b, Tensor scale_a, Tensor scale_b, Tensor? bias, ScalarType dtype, bool fast) "
    "-> Tensor",
    _forward, _fake,
)  # fmt: skip


# --- function


def scaled_mm(
    a: torch.Tensor, b: torch.Tensor, scale_a: torch.Tensor, scale_b: torch.Tensor, bias: torch.Tensor | None = None,
    scale_result: torch.Tensor | None = None, out_dtype: torch.dtype | None = None, use_fast_accum: bool = False,
) -> torch.Tensor:  # fmt: skip
    """As `torch._scaled_mm`: (a @ b) * scale_a * scale_b + bias in `out_dtype`.

    a [m, k], b [k, n], of float8_e4m3fn or float8_e5m2. scale_a: float32 of one element, or [m, 1]; scale_b: of one
    element, or [1, n]. bias [n]. out_dtype: bfloat16, float16 or float32; float8 results (and their `scale_result`) are
    left to torch, as are GPUs without float8.
    """
    if _takes(a, b, scale_a, scale_b, bias, scale_result, out_dtype):
        assert out_dtype is not None
        return scaled_mm_op(a, b, scale_a, scale_b, bias, out_dtype, use_fast_accum)
    return torch._scaled_mm(a, b, scale_a, scale_b, bias, scale_result, out_dtype, use_fast_accum)


def _takes(
    a: torch.Tensor, b: torch.Tensor, scale_a: torch.Tensor, scale_b: torch.Tensor, bias: torch.Tensor | None,
    scale_result: torch.Tensor | None, dtype: Any,
) -> bool:  # fmt: skip
    if not usable("scaled_mm", a, b, dtypes=FLOAT8) or not usable("scaled_mm", scale_a, scale_b, bias):
        return False
    if dtype not in DTYPES or scale_result is not None:
        decline("scaled_mm", "float8 results")
        return False
    if a.device.type == "cuda" and torch.cuda.get_device_capability(a.device) < (8, 9):
        decline("scaled_mm", "GPUs without float8")
        return False
    if a.dim() != 2 or b.dim() != 2 or a.size(1) != b.size(0) or 0 in (*a.size(), *b.size()):
        return False
    by_tensor = scale_a.numel() == scale_b.numel() == 1
    by_rows = scale_a.size() == (a.size(0), 1) and scale_b.size() == (1, b.size(1))
    scaled = scale_a.dtype == scale_b.dtype == torch.float32 and (by_tensor or by_rows)
    return scaled and (bias is None or bias.size() == (b.size(1),))


# --- samples


def calls(shape: Shape, dtype: torch.dtype, device: torch.device) -> Iterator[Call]:
    """shape: rows of a, columns of b, inner dimension; dtype: of the result."""
    m, n, k = shape
    a = torch.randn(m, k, device=device).to(torch.float8_e4m3fn)
    b = torch.randn(n, k, device=device).to(torch.float8_e4m3fn).t()
    one = torch.ones((), device=device)
    rows, columns = torch.rand(m, 1, device=device), torch.rand(1, n, device=device)
    yield Call("tensors", scaled_mm, (a, b, one, one), {"out_dtype": dtype, "use_fast_accum": True})
    yield Call("rows", scaled_mm, (a, b, rows, columns), {"out_dtype": dtype})
