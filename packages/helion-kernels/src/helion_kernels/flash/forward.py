"""The forward kernel: softmax(q @ k^T * scale + bias) @ v with a running maximum and sum, never holding the scores.

Dao et al., "FlashAttention", 2022 and "FlashAttention-2", 2023. Powers and logarithms are of base 2 inside.
"""

from __future__ import annotations

import math
from typing import Any

import torch

import helion.language as hl

from ..frame.products import product_kernel
from .band import extent, hidden, longest_first, runs

LOG2E = math.log2(math.e)
LN2 = math.log(2)


def start(rows: Any, width: Any) -> tuple[Any, Any, Any]:
    """The state before any key: maximum, sum, and weighted sum of values."""
    high = hl.full([rows], float("-inf"), dtype=torch.float32)
    return high, hl.zeros([rows], dtype=torch.float32), hl.zeros([rows, width], dtype=torch.float32)


def step(
    state: tuple[Any, Any, Any], scores: Any, scale: Any, may_be_empty: bool, dtype: torch.dtype
) -> tuple[tuple[Any, Any, Any], Any]:
    """The state after a tile of keys with `scores` times `scale` (positive, or 1), and the weights of its values, which
    `add` adds. The values are loaded between the two, when nothing but the weights in their `dtype` is left of the
    scores: before that, they take 18 registers, and with them the third program of a multiprocessor.
    """
    high, total, acc = state
    new_high = torch.maximum(high, torch.amax(scores, -1) * scale)
    base = torch.where(new_high == float("-inf"), 0.0, new_high) if may_be_empty else new_high
    weights = torch.exp2(scores * scale - base[:, None])
    correction = torch.exp2(high - base)
    total = total * correction + weights.sum(-1)
    return (new_high, total, acc * correction[:, None]), weights.to(dtype)


def add(state: tuple[Any, Any, Any], weights: Any, value: Any) -> tuple[Any, Any, Any]:
    high, total, acc = state
    return high, total, torch.addmm(acc, weights, value)


def finish(state: tuple[Any, Any, Any], may_be_empty: bool) -> tuple[Any, Any]:
    """The result and the natural logarithms of the sums. Queries that see no key: 0, and -inf."""
    high, total, acc = state
    divisor = torch.where(total == 0, 1.0, total) if may_be_empty else total
    return acc / divisor[:, None], (high + torch.log2(total)) * LN2


def biased(scores: Any, bias: Any, scale: Any) -> Any:
    """Scores in base 2, given a tile of the bias or mask."""
    if bias.dtype is torch.bool:
        return torch.where(bias, scores * scale, float("-inf"))
    return scores * scale + bias.to(torch.float32) * LOG2E


def _tiles(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, bias: torch.Tensor | None, scale: float, band: tuple[int, int]
) -> dict[str, Any]:
    """Without a bias: a pipeline for narrow heads, and for wider ones tiles of which a multiprocessor has three at a
    time instead. What a band or the end of the keys cuts is done in smaller tiles, fewer of whose scores are hidden;
    where the end alone does, in two steps, since one that the compiler knows to be the only one takes the registers of
    the third. The orders of programs are the same one, and what ptxas makes of them differs by up to 8 %.
    """
    (left, right), head, rest = band, q.size(3), k.size(2) % 128
    if bias is not None or not 32 < head <= 128 or q.size(2) < 64 or q.element_size() > 2:
        return {}
    banded = left >= 0 or right >= 0
    edge = 32 if not banded and head > 64 and 0 < rest <= 64 else 64
    return {
        "block_sizes": [128, edge, 64], "num_warps": 4, "num_stages": 2 if head <= 64 else 1,
        "pid_type": "flat" if banded else "xyz",
    }  # fmt: skip


@product_kernel("attention", prefer=_tiles, prefer_on="sm_90")
def attention_forward(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, bias: torch.Tensor | None, scale: float,
    band: tuple[int, int],
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    """q [b, h, m, d], k [b, g, n, d], v [b, g, n, e], bias [b, h, m, n]; g divides h, scale is positive."""
    (left, right), (batch, heads, m, d) = band, q.size()
    groups, n, e = k.size(1), k.size(2), hl.specialize(v.size(3))
    d, share = hl.specialize(d), heads // groups
    out = torch.empty([batch, m, heads, e], dtype=q.dtype, device=q.device).transpose(1, 2)
    logs = torch.empty([batch, heads, m], dtype=torch.float32, device=q.device)
    block = hl.register_block_size(16, 256)
    edge = hl.register_block_size(16, 256)
    may_be_empty = bias is not None or left >= 0
    beyond = right < 0 or m + right > n  # whether some query sees the end of the keys
    base2 = scale * LOG2E
    factor = base2 if bias is None else 1.0
    for tile_h, tile_m in hl.tile([batch * heads, extent(m, right)], block_size=[1, None]):
        at, rows, first, last = longest_first(tile_h.begin, tile_m, batch * heads, m, right, share)
        b, h = at // heads, at % heads
        g = h // share
        query = q[b, h, rows, :]
        state = start(tile_m, e)
        for begin, end, cut in runs(first, last, left, right, n, block, edge):
            for tile_n in hl.tile(begin, end, block_size=edge if cut else block):
                base = None
                if cut:
                    columns = tile_n.index[None, :]
                    base = hidden(rows.index[:, None], columns, left, right, columns < n if beyond else None)
                scores = hl.dot(query, k[b, g, tile_n, :].T, acc=base)
                if bias is not None:
                    scores = biased(scores, bias[b, h, rows, tile_n], base2)
                state, weights = step(state, scores, factor, may_be_empty, v.dtype)
                state = add(state, weights, v[b, g, tile_n, :])
        result, logs[b, h, rows] = finish(state, may_be_empty)
        out[b, h, rows, :] = result.to(q.dtype)
    return out, logs
