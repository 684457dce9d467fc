"""Scaled dot-product attention: full or causal, with as many key heads as query heads or fewer."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F

from .operation import Operation, Pass, Random, Shape
from .results import Gradient, Inputs, Results, Sizes

_ROWS = 1024  # queries of one part of the reference


def heads(
    batch: int, heads: int, seq: int, dim: int, *, kv_heads: int | None = None, keys: int | None = None,
    causal: bool = False, quick: bool = False, cpu: bool = False,
) -> Shape:  # fmt: skip
    """`seq` queries and `keys` keys (by default as many)."""
    sizes = {"batch": batch, "heads": heads, "kv_heads": kv_heads or heads, "seq": seq, "keys": keys or seq, "dim": dim}
    label = f"{batch}x{heads}x{seq}x{dim}"
    label += f"-k{keys}" if keys else ""
    label += f"-kv{kv_heads}" if kv_heads else ""
    label += "-causal" if causal else ""
    return Shape({**sizes, "causal": int(causal)}, quick=quick, cpu=cpu, label=label)


class Attention(Operation):
    """softmax(q kᵀ / √dim) v per head; causal: query i sees keys up to i. Tensors are [batch, heads, seq, dim]."""

    name = "attention"
    ours = "helion_kernels:attention"
    shapes = (
        heads(4, 32, 4096, 128, quick=True),
        heads(4, 32, 4096, 64),
        heads(4, 32, 4096, 128, causal=True, quick=True),
        heads(4, 32, 4096, 128, kv_heads=8, causal=True),
        heads(1, 32, 16384, 128, kv_heads=8, causal=True),
        heads(16, 16, 1024, 64, causal=True),
        heads(1, 2, 32, 16, cpu=True),
        heads(1, 2, 32, 16, causal=True, cpu=True),
        heads(1, 4, 19, 16, kv_heads=2, causal=True, cpu=True),
    )
    dtypes = ("bfloat16", "float16")
    gradients = ("q", "k", "v")

    def make(self, sizes: Sizes, dtype: torch.dtype, random: Random) -> Inputs:
        batch, dim = sizes["batch"], sizes["dim"]
        kv = (batch, sizes["kv_heads"], sizes["keys"], dim)
        return {
            "q": random.normal(batch, sizes["heads"], sizes["seq"], dim, dtype=dtype),
            "k": random.normal(*kv, dtype=dtype),
            "v": random.normal(*kv, dtype=dtype),
            "causal": bool(sizes["causal"]),
        }

    def eager(self, **inputs: Any) -> Any:
        q, k, v = inputs["q"], inputs["k"], inputs["v"]
        grouped = q.size(1) != k.size(1)
        return F.scaled_dot_product_attention(q, k, v, is_causal=inputs["causal"], enable_gqa=grouped)

    def call_ours(self, function: Any, inputs: Inputs) -> Any:
        q, k, v = inputs["q"], inputs["k"], inputs["v"]
        return function(q, k, v, is_causal=inputs["causal"], enable_gqa=q.size(1) != k.size(1))

    def reference(self, sizes: Sizes, inputs: Inputs, gradient: Gradient) -> Results:
        q, k, v = inputs["q"].detach(), inputs["k"].detach(), inputs["v"].detach()
        group = q.size(1) // k.size(1)
        output = torch.empty(q.shape, dtype=torch.float64, device=q.device)
        grads = tuple(torch.zeros(t.shape, dtype=torch.float64, device=q.device) for t in (q, k, v))
        for b in range(q.size(0)):
            for h in range(q.size(1)):
                at, kv = (b, h), (b, h // group)
                g = None if gradient is None else gradient[0][at]
                into = None if gradient is None else (grads[0][at], grads[1][kv], grads[2][kv])
                output[at] = one_head(q[at], k[kv], v[kv], inputs["causal"], g, into)
        return Results((output,), dict(zip("qkv", grads, strict=True)) if gradient is not None else {})

    def flops(self, sizes: Sizes, pass_: Pass) -> float:
        products = 4.0 * sizes["batch"] * sizes["heads"] * sizes["seq"] * sizes["keys"] * sizes["dim"]
        seen = products / 2 if sizes["causal"] else products
        return seen if pass_ == "fwd" else 2.5 * seen  # backward: five products, of which q·k is computed again

    def bytes(self, sizes: Sizes, itemsize: int, pass_: Pass) -> float:
        queries = sizes["batch"] * sizes["heads"] * sizes["seq"] * sizes["dim"]
        keys = sizes["batch"] * sizes["kv_heads"] * sizes["keys"] * sizes["dim"]
        return (2 * queries + 2 * keys if pass_ == "fwd" else 4 * queries + 4 * keys) * itemsize


def one_head(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, causal: bool, gradient: torch.Tensor | None,
    into: tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None,
) -> torch.Tensor:  # fmt: skip
    """Attention of `q` [m, d] over `k`, `v` [n, d] in float64, `_ROWS` queries at a time; adds gradients `into`."""
    q, k, v = q.double(), k.double(), v.double()
    scale = q.size(1) ** -0.5
    output = torch.empty_like(q)
    for begin in range(0, q.size(0), _ROWS):
        rows = slice(begin, begin + _ROWS)
        scores = q[rows] @ k.t() * scale
        if causal:
            scores.masked_fill_(_future(begin, scores), float("-inf"))
        p = scores.softmax(-1)
        output[rows] = p @ v
        if gradient is not None and into is not None:
            g = gradient[rows].double()
            ds = p * (g @ v.t() - (g * output[rows]).sum(-1, keepdim=True)) * scale
            into[0][rows] += ds @ k
            into[1].add_(ds.t() @ q[rows])
            into[2].add_(p.t() @ g)
    return output


def _future(begin: int, scores: torch.Tensor) -> torch.Tensor:
    """True where a key comes after its query; the first query is number `begin`."""
    rows, keys = scores.shape
    queries = torch.arange(begin, begin + rows, device=scores.device)
    return torch.arange(keys, device=scores.device)[None, :] > queries[:, None]
