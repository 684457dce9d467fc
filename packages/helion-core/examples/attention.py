"""Attention, softmax(q @ k^T * scale + bias) @ v, without ever holding the scores (Dao et al., "FlashAttention",
2022).

q is [batch, heads, m, d], k and v are [batch, kv_heads, n, d]; heads / kv_heads query heads share one pair of k and
v (grouped-query attention). With `causal`, query i sees keys 0 to i. bias is [heads, m, n] or None. Sums are kept in
base 2.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from _harness import Case, main

import helion
import helion.language as hl


@helion.kernel()
def attention(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, causal: hl.constexpr = False, bias: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """The result and the logarithms (base 2) of the sums of every row, for the gradients."""
    batch, heads, m, d = q.size()
    kv_heads, n = k.size(1), k.size(2)
    d, share = hl.specialize(d), heads // kv_heads
    queries, keys, values = q.reshape(-1, m, d), k.reshape(-1, n, d), v.reshape(-1, n, d)
    out = torch.empty_like(queries)
    logs = torch.empty([batch * heads, m], dtype=torch.float32, device=q.device)
    scale = math.log2(math.e) / math.sqrt(d)
    for tile_h, tile_m in hl.tile([batch * heads, m], block_size=[1, None]):
        head = tile_h.begin
        kv = head // heads * kv_heads + head % heads // share
        query = queries[head, tile_m, :]
        high = hl.full([tile_m], float("-inf"), dtype=torch.float32)
        total = hl.zeros([tile_m], dtype=torch.float32)
        acc = hl.zeros([tile_m, d], dtype=torch.float32)
        end = min(tile_m.end, n) if causal else n
        for tile_n in hl.tile(0, end):
            scores = hl.dot(query, keys[kv, tile_n, :].T) * scale
            if bias is not None:
                scores = scores + bias[head % heads, tile_m, tile_n].to(torch.float32) * math.log2(math.e)
            if causal:
                scores = torch.where(tile_m.index[:, None] >= tile_n.index[None, :], scores, float("-inf"))
            new_high = torch.maximum(high, torch.amax(scores, -1))
            weights = torch.exp2(scores - new_high[:, None])
            correction = torch.exp2(high - new_high)
            total = total * correction + weights.sum(-1)
            acc = torch.addmm(acc * correction[:, None], weights.to(v.dtype), values[kv, tile_n, :])
            high = new_high
        out[head, tile_m, :] = (acc / total[:, None]).to(q.dtype)
        logs[head, tile_m] = high + torch.log2(total)
    return out.view(q.size()), logs.view(batch, heads, m)


def forward(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, causal: bool = False, bias: torch.Tensor | None = None
) -> torch.Tensor:
    return attention(q, k, v, causal, bias)[0]


def reference(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, causal: bool = False, bias: torch.Tensor | None = None
) -> torch.Tensor:
    k, v = (t.repeat_interleave(q.size(1) // k.size(1), dim=1) for t in (k, v))
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.size(-1)) + (0 if bias is None else bias)
    if causal:
        m, n = scores.shape[-2:]
        scores = scores.masked_fill(torch.ones(m, n, device=q.device).tril().logical_not().bool(), float("-inf"))
    return scores.softmax(-1) @ v


DTYPES = (torch.float32, torch.float16, torch.bfloat16)


def _cases(
    device: str, dtype: torch.dtype, batch: int, heads: int, kv_heads: int, m: int, n: int, d: int
) -> Iterator[Case]:
    q = torch.randn(batch, heads, m, d, device=device, dtype=dtype)
    k, v, shared_k, shared_v = (
        torch.randn(batch, h, n, d, device=device, dtype=dtype) for h in (heads, heads, kv_heads, kv_heads)
    )
    bias = torch.randn(heads, m, n, device=device, dtype=dtype)
    name = f"{batch}x{heads}x{m}x{n}x{d}"
    yield Case(name, forward, (q, k, v), reference)
    yield Case(f"causal, {name}", forward, (q, k, v, True), reference)
    yield Case(f"bias, {name}", forward, (q, k, v, False, bias), reference)
    yield Case(f"{kv_heads} kv heads, causal, {name}", forward, (q, shared_k, shared_v, True), reference)


def cases(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield from _cases(device, dtype, 1, 4, 2, 70, 90, 32)


def typical(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield from _cases(device, dtype, 2, 16, 4, 2048, 2048, 64)


if __name__ == "__main__":
    main()
