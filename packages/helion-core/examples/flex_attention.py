"""Attention with scores changed by a function of the caller, as in PyTorch's flex_attention (He et al., 2024).

score(s, b, h, i, j) gives the new score of query i and key j in head h of batch b; mask(b, h, i, j) says which keys
a query sees. Both are traced into the kernel, with whatever tensors and numbers they capture. Rows that see no key
give 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from _harness import Case, main

import helion
import helion.language as hl


@helion.kernel()
def flex_attention(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, score: Callable[..., Any], mask: Callable[..., Any]
) -> torch.Tensor:
    batch, heads, m, d = q.size()
    n, d = k.size(2), hl.specialize(d)
    out = torch.empty_like(q)
    natural = 1 / math.sqrt(d)
    for tile_b, tile_h, tile_m in hl.tile([batch, heads, m], block_size=[1, 1, None]):
        b, h = tile_b.begin, tile_h.begin
        query, i = q[b, h, tile_m, :], tile_m.index[:, None]
        high = hl.full([tile_m], float("-inf"), dtype=torch.float32)
        total = hl.zeros([tile_m], dtype=torch.float32)
        acc = hl.zeros([tile_m, d], dtype=torch.float32)
        for tile_n in hl.tile(n):
            j = tile_n.index[None, :]
            scores = score(hl.dot(query, k[b, h, tile_n, :].T) * natural, b, h, i, j)
            scores = torch.where(mask(b, h, i, j), scores, float("-inf"))
            new_high = torch.maximum(high, torch.amax(scores, -1))
            base = torch.where(new_high == float("-inf"), 0.0, new_high)
            weights = torch.exp(scores - base[:, None])
            correction = torch.exp(high - base)
            total = total * correction + weights.sum(-1)
            acc = torch.addmm(acc * correction[:, None], weights.to(v.dtype), v[b, h, tile_n, :])
            high = new_high
        out[b, h, tile_m, :] = (acc / torch.where(total == 0, 1.0, total)[:, None]).to(q.dtype)
    return out


def reference(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, score: Callable[..., Any], mask: Callable[..., Any]
) -> torch.Tensor:
    sizes = [*q.size()[:3], k.size(2)]
    b, h, i, j = (
        torch.arange(s, device=q.device).view([-1 if e == d else 1 for e in range(4)]) for d, s in enumerate(sizes)
    )
    scores = score(q @ k.transpose(-1, -2) / math.sqrt(q.size(-1)), b, h, i, j)
    scores = scores.masked_fill(~mask(b, h, i, j), float("-inf"))
    return scores.softmax(-1).nan_to_num(0.0) @ v


def see_all(b: Any, h: Any, i: Any, j: Any) -> Any:
    return j >= 0


def unchanged(s: Any, b: Any, h: Any, i: Any, j: Any) -> Any:
    return s


def _cases(device: str, dtype: torch.dtype, batch: int, heads: int, m: int, n: int, d: int) -> Iterator[Case]:
    q = torch.randn(batch, heads, m, d, device=device, dtype=dtype)
    k, v = (torch.randn(batch, heads, n, d, device=device, dtype=dtype) for _ in range(2))
    slopes = 2 ** -torch.arange(1.0, heads + 1, device=device)
    documents = torch.randint(0, 3, (max(m, n),), device=device).sort().values
    documents[:5] = -1  # a document of its own, which its queries do not see either
    window = m // 3
    variants: dict[str, tuple[Any, Any]] = {
        "plain": (unchanged, see_all),
        "alibi, causal": (lambda s, b, h, i, j: s - slopes[h] * (i - j).abs(), lambda b, h, i, j: i >= j),
        "soft cap, window": (lambda s, b, h, i, j: 20 * torch.tanh(s / 20), lambda b, h, i, j: (i - j).abs() <= window),
        "documents": (unchanged, lambda b, h, i, j: (documents[i] == documents[j]) & (documents[i] >= 0)),
    }
    for name, functions in variants.items():
        yield Case(f"{name}, {batch}x{heads}x{m}x{n}x{d}", flex_attention, (q, k, v, *functions), reference)


def cases(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield from _cases(device, dtype, 1, 2, 70, 90, 32)


def typical(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield from _cases(device, dtype, 2, 16, 2048, 2048, 64)


if __name__ == "__main__":
    main()
