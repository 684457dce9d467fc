"""Attention of packed sequences: the kernels of `forward` and `backward`, with bounds that are read on the device.

Sequence s has queries begins_q[s] to begins_q[s + 1] and keys begins_k[s] to begins_k[s + 1]. Its last query stands
beside its last key: query i is at position i + keys - queries. Programs are launched for the longest sequence.

Rows that each stand for themselves are read without a mask, so that descriptors can keep them out of registers; those
that are summed over are masked.
"""

from __future__ import annotations

from typing import Any

import torch

import helion.language as hl

from ..frame.products import product_kernel
from .backward import finite_logs
from .band import hidden, runs, whole_tiles
from .forward import LOG2E, add, finish, start, step

WIDE = 128  # elements of a head; tiles for wider ones are the planner's


def _forward_tiles(q: torch.Tensor, *_: Any) -> dict[str, Any]:
    """Three programs a multiprocessor. 128 rows on four warps are 4 % faster on an H100, but spill, and take twice as
    long to compile.
    """
    if not WIDE // 2 < q.size(2) <= WIDE:
        return {}
    return {"block_sizes": [64, 64], "num_warps": 4, "num_stages": 2, "pid_type": "xyz"}


def _dkdv_tiles(q: torch.Tensor, k: torch.Tensor, *_: Any) -> dict[str, Any]:
    """Where a key is for several query heads, only the loop over whole tiles is pipelined: all three take registers."""
    if not WIDE // 2 < q.size(2) <= WIDE:
        return {}
    loops = {} if q.size(0) == k.size(0) else {"range_num_stages": [0, 1, 2]}  # over heads, cut tiles, whole tiles
    return {"block_sizes": [64, 64], "num_warps": 4, "num_stages": 2, **loops}


@product_kernel("attention_varlen", prefer=_forward_tiles, prefer_on="sm_90")
def varlen_forward(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, begins_q: torch.Tensor, begins_k: torch.Tensor, longest_q: int,
    scale: float, band: tuple[int, int],
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    """q [h, queries, d], k [g, keys, d], v [g, keys, e]; the result is [queries, h, e], the logarithms [h, queries]."""
    (left, right), (heads, queries, d), count = band, q.size(), begins_q.size(0) - 1
    d, e, share = hl.specialize(d), hl.specialize(v.size(2)), heads // k.size(0)
    out = torch.empty([queries, heads, e], dtype=q.dtype, device=q.device)
    logs = torch.empty([heads, queries], dtype=torch.float32, device=q.device)
    block = hl.register_block_size(16, 256)
    base2 = scale * LOG2E
    for tile_h, tile_m in hl.tile([count * heads, whole_tiles(longest_q)], block_size=[1, None]):
        s, h = tile_h.begin // heads, tile_h.begin % heads
        g = h // share
        first_q, first_k = int(begins_q[s]), int(begins_k[s])
        m, n = int(begins_q[s + 1] - begins_q[s]), int(begins_k[s + 1] - begins_k[s])
        if tile_m.begin < m:
            inside = tile_m.index < m
            query = hl.load(q, [h, tile_m + first_q, slice(None)])
            rows, first = tile_m.index[:, None] + (n - m), tile_m.begin + n - m
            state = start(tile_m, e)
            for begin, end, cut in runs(first, first + tile_m.block_size - 1, left, right, n, block):
                for tile_n in hl.tile(begin, end, block_size=block):
                    kept = tile_n.index < n
                    key = hl.load(k, [g, tile_n + first_k, slice(None)], extra_mask=kept[:, None] if cut else None)
                    base = hidden(rows, tile_n.index[None, :], left, right, kept[None, :]) if cut else None
                    scores = hl.dot(query, key.T, acc=base)
                    state, weights = step(state, scores, base2, True, v.dtype)
                    value = hl.load(v, [g, tile_n + first_k, slice(None)], extra_mask=kept[:, None] if cut else None)
                    state = add(state, weights, value)
            result, log = finish(state, True)
            hl.store(logs, [h, tile_m + first_q], log, extra_mask=inside)
            hl.store(out, [tile_m + first_q, h, slice(None)], result.to(q.dtype), extra_mask=inside[:, None])
    return out, logs


@product_kernel("attention_varlen")
def varlen_dq(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, grad: torch.Tensor, logs: torch.Tensor, delta: torch.Tensor,
    begins_q: torch.Tensor, begins_k: torch.Tensor, longest_q: int, scale: float, band: tuple[int, int],
) -> torch.Tensor:  # fmt: skip
    """The gradient of q; delta [h, queries]."""
    (left, right), (heads, queries, d), count = band, q.size(), begins_q.size(0) - 1
    d, share = hl.specialize(d), heads // k.size(0)
    dq = torch.empty([queries, heads, d], dtype=q.dtype, device=q.device)
    block = hl.register_block_size(16, 256)
    base2 = scale * LOG2E
    for tile_h, tile_m in hl.tile([count * heads, whole_tiles(longest_q)], block_size=[1, None]):
        s, h = tile_h.begin // heads, tile_h.begin % heads
        g = h // share
        first_q, first_k = int(begins_q[s]), int(begins_k[s])
        m, n = int(begins_q[s + 1] - begins_q[s]), int(begins_k[s + 1] - begins_k[s])
        if tile_m.begin < m:
            inside = tile_m.index < m
            query = hl.load(q, [h, tile_m + first_q, slice(None)])
            out_grad = hl.load(grad, [h, tile_m + first_q, slice(None)])
            log = finite_logs(hl.load(logs, [h, tile_m + first_q], extra_mask=inside), True)
            shift = hl.load(delta, [h, tile_m + first_q], extra_mask=inside)
            rows, first = tile_m.index[:, None] + (n - m), tile_m.begin + n - m
            acc = hl.zeros([tile_m, d], dtype=torch.float32)
            for begin, end, cut in runs(first, first + tile_m.block_size - 1, left, right, n, block):
                for tile_n in hl.tile(begin, end, block_size=block):
                    kept = tile_n.index < n
                    key = hl.load(k, [g, tile_n + first_k, slice(None)], extra_mask=kept[:, None] if cut else None)
                    value = hl.load(v, [g, tile_n + first_k, slice(None)], extra_mask=kept[:, None] if cut else None)
                    base = hidden(rows, tile_n.index[None, :], left, right, kept[None, :]) if cut else None
                    scores = hl.dot(query, key.T, acc=base) * base2
                    ds = torch.exp2(scores - log[:, None]) * (hl.dot(out_grad, value.T) - shift[:, None])
                    acc = torch.addmm(acc, ds.to(q.dtype), key)
            hl.store(dq, [tile_m + first_q, h, slice(None)], (acc * scale).to(q.dtype), extra_mask=inside[:, None])
    return dq


@product_kernel("attention_varlen", prefer=_dkdv_tiles, prefer_on="sm_90")
def varlen_dkdv(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, grad: torch.Tensor, logs: torch.Tensor, delta: torch.Tensor,
    begins_q: torch.Tensor, begins_k: torch.Tensor, longest_k: int, scale: float, band: tuple[int, int],
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    """The gradients of k and v, from transposed scores as in `attention_dkdv`."""
    (left, right), (heads, _, d), count = band, q.size(), begins_q.size(0) - 1
    groups, d, e = k.size(0), hl.specialize(d), hl.specialize(v.size(2))
    share = heads // groups
    dk, dv = (
        torch.empty([k.size(1), groups, d], dtype=k.dtype, device=k.device),
        torch.empty([k.size(1), groups, e], dtype=v.dtype, device=v.device),
    )
    block = hl.register_block_size(16, 256)
    base2 = scale * LOG2E
    for tile_g, tile_n in hl.tile([count * groups, whole_tiles(longest_k)], block_size=[1, None]):
        s, g = tile_g.begin // groups, tile_g.begin % groups
        first_q, first_k = int(begins_q[s]), int(begins_k[s])
        m, n = int(begins_q[s + 1] - begins_q[s]), int(begins_k[s + 1] - begins_k[s])
        if tile_n.begin < n:
            inside = (tile_n.index < n)[:, None]
            key = hl.load(k, [g, tile_n + first_k, slice(None)])
            value = hl.load(v, [g, tile_n + first_k, slice(None)])
            ahead = int((begins_q[s] - begins_q[s + 1]) % block)  # lanes before the first query: tiles end together
            tiles, shift = (m + ahead) // block * block, m + ahead - n
            first = tile_n.begin + shift
            columns = tile_n.index[:, None] + shift
            acc_k = hl.zeros([tile_n, d], dtype=torch.float32)
            acc_v = hl.zeros([tile_n, e], dtype=torch.float32)
            for member in hl.grid(share):
                h = g * share + member
                for begin, end, cut in runs(first, first + tile_n.block_size - 1, right, left, tiles, block, late=True):
                    for tile_m in hl.tile(begin, end, block_size=block):
                        kept = tile_m.index >= ahead
                        mask = kept[:, None] if cut else None
                        query = hl.load(q, [h, tile_m + (first_q - ahead), slice(None)], extra_mask=mask)
                        out_grad = hl.load(grad, [h, tile_m + (first_q - ahead), slice(None)], extra_mask=mask)
                        log = hl.load(logs, [h, tile_m + (first_q - ahead)], extra_mask=kept if cut else None)
                        inner = hl.load(delta, [h, tile_m + (first_q - ahead)], extra_mask=kept if cut else None)
                        base = hidden(tile_m.index[None, :], columns, left, right, kept[None, :]) if cut else None
                        scores = hl.dot(key, query.T, acc=base) * base2
                        p = torch.exp2(scores - finite_logs(log, True)[None, :])
                        acc_v = torch.addmm(acc_v, p.to(v.dtype), out_grad)
                        ds = p * (hl.dot(value, out_grad.T) - inner[None, :])
                        acc_k = torch.addmm(acc_k, ds.to(q.dtype), query)
            hl.store(dk, [tile_n + first_k, g, slice(None)], (acc_k * scale).to(k.dtype), extra_mask=inside)
            hl.store(dv, [tile_n + first_k, g, slice(None)], acc_v.to(v.dtype), extra_mask=inside)
    return dk, dv
