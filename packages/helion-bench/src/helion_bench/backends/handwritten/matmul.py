"""Matrix product: tiles in the order that shares operands in the second level cache."""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl

from .launch import launch


@triton.jit
def _matmul(
    out, x, y, m, n, k,  # noqa: ANN001
    stride_om, stride_on, stride_xm, stride_xk, stride_yk, stride_yn,  # noqa: ANN001
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, GROUP: tl.constexpr,
):  # fmt: skip
    program = tl.program_id(0)
    tiles_m, tiles_n = tl.cdiv(m, BM), tl.cdiv(n, BN)
    first = program // (GROUP * tiles_n) * GROUP
    rows_of_tiles = tl.minimum(tiles_m - first, GROUP)
    tile_m = first + program % (GROUP * tiles_n) % rows_of_tiles
    tile_n = program % (GROUP * tiles_n) // rows_of_tiles
    at_m, at_n, at_k = tile_m * BM + tl.arange(0, BM), tile_n * BN + tl.arange(0, BN), tl.arange(0, BK)
    rows, cols = (at_m % m).to(tl.int64), (at_n % n).to(tl.int64)
    left = x + rows[:, None] * stride_xm + at_k[None, :] * stride_xk
    right = y + at_k[:, None] * stride_yk + cols[None, :] * stride_yn
    acc = tl.zeros((BM, BN), dtype=tl.float32)
    for begin in range(0, k, BK):
        a = tl.load(left, mask=at_k[None, :] < k - begin, other=0.0)
        b = tl.load(right, mask=at_k[:, None] < k - begin, other=0.0)
        acc = tl.dot(a, b, acc)
        left += BK * stride_xk
        right += BK * stride_yk
    inside = (at_m[:, None] < m) & (at_n[None, :] < n)
    at = out + at_m.to(tl.int64)[:, None] * stride_om + at_n[None, :] * stride_on
    tl.store(at, acc.to(out.dtype.element_ty), mask=inside)


def run(**inputs: Any) -> torch.Tensor:
    """`x` [m, k] times `weight` [k, n]."""
    x, y = inputs["x"], inputs["weight"]
    (m, k), n = x.shape, y.size(1)
    out = torch.empty(m, n, dtype=x.dtype, device=x.device)
    wide = m > 64
    bm, bn, bk = (128, 256, 64) if wide else (max(16, triton.next_power_of_2(m)), 64, 128)
    grid = (triton.cdiv(m, bm) * triton.cdiv(n, bn),)
    launch(
        _matmul, grid, out, x, y, m, n, k, *out.stride(), *x.stride(), *y.stride(), BM=bm, BN=bn, BK=bk, GROUP=8,
        num_warps=8 if wide else 4, num_stages=3 if wide else 4,
    )  # fmt: skip
    return out
