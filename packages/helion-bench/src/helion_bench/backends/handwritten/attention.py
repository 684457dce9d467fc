"""Attention that never holds the scores (Dao et al., "FlashAttention", 2022): sums in base 2, masks on the diagonal."""

from __future__ import annotations

import math
from typing import Any

import torch
import triton
import triton.language as tl

from .launch import launch


@triton.jit
def _keys(  # noqa: ANN202
    acc, high, total, q, keys, values, begin, end, rows, n, scale, stride_kn, stride_vn,  # noqa: ANN001
    BN: tl.constexpr, D: tl.constexpr, CAUSAL: tl.constexpr, MASK: tl.constexpr,
):  # fmt: skip
    at_d = tl.arange(0, D)
    for start in range(begin, end, BN):
        cols = start + tl.arange(0, BN)
        if MASK:
            k = tl.load(keys + cols[None, :] * stride_kn + at_d[:, None], mask=cols[None, :] < n, other=0.0)
            v = tl.load(values + cols[:, None] * stride_vn + at_d[None, :], mask=cols[:, None] < n, other=0.0)
        else:
            k = tl.load(keys + cols[None, :] * stride_kn + at_d[:, None])
            v = tl.load(values + cols[:, None] * stride_vn + at_d[None, :])
        scores = tl.dot(q, k) * scale
        if MASK:
            seen = cols[None, :] < n
            if CAUSAL:
                seen = seen & (rows[:, None] >= cols[None, :])
            scores = tl.where(seen, scores, float("-inf"))
        new = tl.maximum(high, tl.max(scores, 1))
        weights = tl.exp2(scores - new[:, None])
        correction = tl.exp2(high - new)
        total = total * correction + tl.sum(weights, 1)
        acc = tl.dot(weights.to(v.dtype), v, acc * correction[:, None])
        high = new
    return acc, high, total


@triton.jit
def _attention(
    out, q, k, v, m, n, heads, share, scale,  # noqa: ANN001
    stride_qh, stride_qm, stride_kh, stride_kn, stride_vh, stride_vn,  # noqa: ANN001
    BM: tl.constexpr, BN: tl.constexpr, D: tl.constexpr, CAUSAL: tl.constexpr,
):  # fmt: skip
    head = tl.program_id(1).to(tl.int64)
    # the longest rows of a causal mask begin first, so that the last programs are short
    tile = tl.num_programs(0) - 1 - tl.program_id(0) if CAUSAL else tl.program_id(0)
    kv = head // heads * (heads // share) + head % heads // share
    rows, at_d = tile * BM + tl.arange(0, BM), tl.arange(0, D)
    inside = rows[:, None] < m
    query = tl.load(q + head * stride_qh + rows[:, None] * stride_qm + at_d[None, :], mask=inside, other=0.0)
    acc = tl.zeros((BM, D), dtype=tl.float32)
    high = tl.full((BM,), float("-inf"), dtype=tl.float32)
    total = tl.zeros((BM,), dtype=tl.float32)
    keys, values = k + kv * stride_kh, v + kv * stride_vh
    end = tl.minimum((tile + 1) * BM, n) if CAUSAL else n
    plain = (tile * BM if CAUSAL else end) // BN * BN
    acc, high, total = _keys(
        acc, high, total, query, keys, values, 0, plain, rows, n, scale, stride_kn, stride_vn, BN, D, CAUSAL, False
    )
    acc, high, total = _keys(
        acc, high, total, query, keys, values, plain, end, rows, n, scale, stride_kn, stride_vn, BN, D, CAUSAL, True
    )
    at = out + head * stride_qh + rows[:, None] * stride_qm + at_d[None, :]
    tl.store(at, (acc / total[:, None]).to(out.dtype.element_ty), mask=inside)


def run(**inputs: Any) -> torch.Tensor:
    """`q` [batch, heads, m, d], `k` and `v` [batch, kv_heads, n, d], all dense; `causal`: query i sees keys 0 to i."""
    q, k, v = inputs["q"], inputs["k"], inputs["v"]
    batch, heads, m, d = q.shape
    out = torch.empty_like(q)
    bm, bn = 128, 64
    scale = math.log2(math.e) / math.sqrt(d)
    launch(
        _attention, (triton.cdiv(m, bm), batch * heads), out, q, k, v, m, k.size(2), heads, heads // k.size(1), scale,
        q.stride(1), q.stride(2), k.stride(1), k.stride(2), v.stride(1), v.stride(2),
        BM=bm, BN=bn, D=d, CAUSAL=inputs["causal"], num_warps=8, num_stages=3,
    )  # fmt: skip
    return out
