"""Attention over sequences of unequal length that lie one after the other."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch.nn import functional as F

from .attention import one_head
from .operation import Operation, Pass, Random, Shape
from .results import Gradient, Inputs, Results, Sizes


def _packed(
    batch: int, heads: int, seq: int, dim: int, *, kv_heads: int | None = None, quick: bool = False, cpu: bool = False
) -> Shape:
    sizes = {"batch": batch, "heads": heads, "kv_heads": kv_heads or heads, "seq": seq, "dim": dim}
    label = f"{batch}x{heads}x{seq}x{dim}" + (f"-kv{kv_heads}" if kv_heads else "")
    return Shape(sizes, quick=quick, cpu=cpu, label=label)


class AttentionVarlen(Operation):
    """Causal attention within each sequence; tensors are [tokens, heads, dim], `offsets` holds where sequences begin.

    `seq` is the longest; sequences have 1/batch, 2/batch, … of it.
    """

    name = "attention_varlen"
    ours = "helion_kernels:attention_varlen"
    reads_on_host = True
    shapes = (
        _packed(8, 32, 4096, 128, quick=True),
        _packed(16, 32, 2048, 128),
        _packed(8, 32, 4096, 64),
        _packed(8, 32, 4096, 128, kv_heads=8),
        _packed(32, 16, 1024, 64),
        _packed(2, 2, 24, 16, cpu=True),
        _packed(3, 4, 21, 16, kv_heads=2, cpu=True),
    )
    dtypes = ("bfloat16", "float16")
    gradients = ("q", "k", "v")

    def make(self, sizes: Sizes, dtype: torch.dtype, random: Random) -> Inputs:
        offsets = torch.tensor([0, *lengths(sizes)]).cumsum(0).to(device=random.device, dtype=torch.int32)
        tokens, dim = sum(lengths(sizes)), sizes["dim"]
        return {
            "q": random.normal(tokens, sizes["heads"], dim, dtype=dtype),
            "k": random.normal(tokens, sizes["kv_heads"], dim, dtype=dtype),
            "v": random.normal(tokens, sizes["kv_heads"], dim, dtype=dtype),
            "offsets": offsets,
            "longest": max(lengths(sizes)),
        }

    def eager(self, **inputs: Any) -> Any:
        """A loop over the sequences, which must know the offsets on the host."""
        cuts = inputs["offsets"].tolist()
        q, k, v = inputs["q"], inputs["k"], inputs["v"]
        parts = []
        for b, e in itertools.pairwise(cuts):
            one = [t[b:e].transpose(0, 1)[None] for t in (q, k, v)]
            grouped = q.size(1) != k.size(1)
            parts.append(F.scaled_dot_product_attention(*one, is_causal=True, enable_gqa=grouped)[0].transpose(0, 1))
        return torch.cat(parts)

    def call_ours(self, function: Any, inputs: Inputs) -> Any:
        q, k, v, offsets, longest = (inputs[name] for name in ("q", "k", "v", "offsets", "longest"))
        grouped, causal = q.size(1) != k.size(1), (-1, 0)
        return function(q, k, v, offsets, offsets, longest, longest, window_size=causal, enable_gqa=grouped)

    def reference(self, sizes: Sizes, inputs: Inputs, gradient: Gradient) -> Results:
        q, k, v = (inputs[name].detach() for name in "qkv")
        group, cuts = q.size(1) // k.size(1), inputs["offsets"].tolist()
        output = torch.empty(q.shape, dtype=torch.float64, device=q.device)
        grads = tuple(torch.zeros(t.shape, dtype=torch.float64, device=q.device) for t in (q, k, v))
        for b, e in itertools.pairwise(cuts):
            for h in range(q.size(1)):
                at, kv = (slice(b, e), h), (slice(b, e), h // group)
                g = None if gradient is None else gradient[0][at]
                into = None if gradient is None else (grads[0][at], grads[1][kv], grads[2][kv])
                output[at] = one_head(q[at], k[kv], v[kv], True, g, into)
        return Results((output,), dict(zip("qkv", grads, strict=True)) if gradient is not None else {})

    def flops(self, sizes: Sizes, pass_: Pass) -> float:
        forward = sum(2.0 * sizes["heads"] * n * n * sizes["dim"] for n in lengths(sizes))
        return forward if pass_ == "fwd" else 2.5 * forward

    def bytes(self, sizes: Sizes, itemsize: int, pass_: Pass) -> float:
        tokens = sum(lengths(sizes))
        tensors = 2 * (sizes["heads"] + sizes["kv_heads"]) * tokens * sizes["dim"] * itemsize
        return tensors if pass_ == "fwd" else 2 * tensors


def lengths(sizes: Sizes) -> list[int]:
    """Lengths of the sequences."""
    batch, longest = sizes["batch"], sizes["seq"]
    return [max(1, longest * (k + 1) // batch) for k in range(batch)]
