"""Gradients of attention (Dao et al., "FlashAttention", 2022), for q, k, v of [batch, heads, length, d].

With P = softmax(S), S = q @ k^T * scale, and D = rowsum(grad * out): dv = P^T @ grad, dS = P * (grad @ v^T - D), dq
= dS @ k * scale, dk = dS^T @ q * scale. P is computed again from the logarithms of the sums that the forward pass
kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from _harness import Case, main
from attention import attention
from attention import reference as forward_reference

import helion
import helion.language as hl


@helion.kernel()
def attention_backward(
    grad: torch.Tensor,
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    out: torch.Tensor,
    logs: torch.Tensor,
    causal: hl.constexpr,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Two loops of one launch: one over tiles of queries for dq, one over tiles of keys for dk and dv."""
    heads, m, d = q.size()
    n, d = k.size(1), hl.specialize(d)
    dq, dk, dv = torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)
    natural = 1 / math.sqrt(d)
    scale = natural * math.log2(math.e)
    for tile_h, tile_m in hl.tile([heads, m], block_size=[1, None]):
        h = tile_h.begin
        query, g, log = q[h, tile_m, :], grad[h, tile_m, :], logs[h, tile_m]
        delta = (g.to(torch.float32) * out[h, tile_m, :].to(torch.float32)).sum(-1)
        acc = hl.zeros([tile_m, d], dtype=torch.float32)
        end = min(tile_m.end, n) if causal else n
        for tile_n in hl.tile(0, end):
            key = k[h, tile_n, :]
            p = torch.exp2(hl.dot(query, key.T) * scale - log[:, None])
            if causal:
                p = torch.where(tile_m.index[:, None] >= tile_n.index[None, :], p, 0.0)
            ds = p * (hl.dot(g, v[h, tile_n, :].T) - delta[:, None])
            acc = torch.addmm(acc, ds.to(q.dtype), key)
        dq[h, tile_m, :] = (acc * natural).to(q.dtype)
    for tile_h, tile_n in hl.tile([heads, n], block_size=[1, None]):
        h = tile_h.begin
        key, value = k[h, tile_n, :], v[h, tile_n, :]
        acc_k = hl.zeros([tile_n, d], dtype=torch.float32)
        acc_v = hl.zeros([tile_n, d], dtype=torch.float32)
        begin = tile_n.begin if causal else 0
        for tile_m in hl.tile(begin, m):
            query, g = q[h, tile_m, :], grad[h, tile_m, :]
            delta = (g.to(torch.float32) * out[h, tile_m, :].to(torch.float32)).sum(-1)
            p = torch.exp2(hl.dot(query, key.T) * scale - logs[h, tile_m][:, None])
            if causal:
                p = torch.where(tile_m.index[:, None] >= tile_n.index[None, :], p, 0.0)
            ds = p * (hl.dot(g, value.T) - delta[:, None])
            acc_v = torch.addmm(acc_v, p.to(q.dtype).T, g)
            acc_k = torch.addmm(acc_k, ds.to(q.dtype).T, query)
        dk[h, tile_n, :] = (acc_k * natural).to(k.dtype)
        dv[h, tile_n, :] = acc_v.to(v.dtype)
    return dq, dk, dv


def gradients(
    grad: torch.Tensor, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, causal: bool
) -> tuple[torch.Tensor, ...]:
    out, logs = attention(q, k, v, causal)
    flat = [t.flatten(0, 1) for t in (grad, q, k, v, out, logs)]
    results = attention_backward(*flat, causal)
    return tuple(r.view(t.size()) for r, t in zip(results, (q, k, v), strict=True))


def reference(
    grad: torch.Tensor, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, causal: bool
) -> tuple[torch.Tensor, ...]:
    inputs = [t.requires_grad_() for t in (q, k, v)]
    return torch.autograd.grad(forward_reference(*inputs, causal), inputs, grad)


# In the first rows of a causal product D nearly cancels grad @ v^T, and out was rounded to bfloat16.
TOLERANCES = {torch.bfloat16: 5e-2}
TF32 = 7e-3  # three products in a chain; rounding their operands in float32 on a CPU gives up to 5.1e-3


def _cases(device: str, dtype: torch.dtype, batch: int, heads: int, m: int, n: int, d: int) -> Iterator[Case]:
    grad, q = (torch.randn(batch, heads, m, d, device=device, dtype=dtype) for _ in range(2))
    k, v = (torch.randn(batch, heads, n, d, device=device, dtype=dtype) for _ in range(2))
    for causal in (False, True):
        name = f"{'causal, ' if causal else ''}{batch}x{heads}x{m}x{n}x{d}"
        yield Case(name, gradients, (grad, q, k, v, causal), reference)


def cases(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield from _cases(device, dtype, 1, 2, 70, 90, 32)


def typical(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield from _cases(device, dtype, 2, 16, 2048, 2048, 64)


if __name__ == "__main__":
    main()
