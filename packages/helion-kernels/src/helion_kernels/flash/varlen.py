"""Attention of packed sequences: the kernels of `forward` and `backward`, with bounds that are read on the device.

Sequence s has queries begins_q[s] to begins_q[s + 1] and keys begins_k[s] to begins_k[s + 1]. Its last query stands
beside its last key: query i is at position i + keys - queries. Programs are launched for the longest sequence.
"""

from __future__ import annotations

import torch

import helion.language as hl

from ..frame.products import product_kernel
from .backward import finite_logs
from .band import only, runs, seen
from .forward import LOG2E, finish, start, step


@product_kernel("attention_varlen")
def varlen_forward(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, begins_q: torch.Tensor, begins_k: torch.Tensor, longest_q: int,
    scale: float, band: tuple[int, int],
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    """q [queries, h, d], k [keys, g, d], v [keys, g, e]; the logarithms are [h, queries]."""
    (left, right), (queries, heads, d), count = band, q.size(), begins_q.size(0) - 1
    d, e, share = hl.specialize(d), hl.specialize(v.size(2)), heads // k.size(1)
    out = torch.empty([queries, heads, e], dtype=q.dtype, device=q.device)
    logs = torch.empty([heads, queries], dtype=torch.float32, device=q.device)
    block = hl.register_block_size(16, 256)
    base2 = scale * LOG2E
    for tile_h, tile_m in hl.tile([count * heads, longest_q], block_size=[1, None]):
        s, h = tile_h.begin // heads, tile_h.begin % heads
        g = h // share
        first_q, first_k = int(begins_q[s]), int(begins_k[s])
        m, n = int(begins_q[s + 1]) - first_q, int(begins_k[s + 1]) - first_k
        if tile_m.begin < m:
            inside = tile_m.index < m
            query = hl.load(q, [tile_m + first_q, h, slice(None)], extra_mask=inside[:, None])
            rows = tile_m.index[:, None] + (n - m)
            state = start(tile_m, e)
            for begin, end, cut in runs(tile_m.begin + n - m, tile_m.end - 1 + n - m, left, right, n, block):
                for tile_n in hl.tile(begin, end, block_size=block):
                    kept = tile_n.index < n
                    key = hl.load(k, [tile_n + first_k, g, slice(None)], extra_mask=kept[:, None] if cut else None)
                    value = hl.load(v, [tile_n + first_k, g, slice(None)], extra_mask=kept[:, None] if cut else None)
                    scores = hl.dot(query, key.T)
                    if cut:
                        scores = only(seen(rows, tile_n.index[None, :], left, right), scores, kept[None, :])
                    state = step(state, scores, base2, value, True)
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
    (left, right), (_, heads, d), count = band, q.size(), begins_q.size(0) - 1
    d, share = hl.specialize(d), heads // k.size(1)
    dq = torch.empty(q.size(), dtype=q.dtype, device=q.device)
    block = hl.register_block_size(16, 256)
    base2 = scale * LOG2E
    for tile_h, tile_m in hl.tile([count * heads, longest_q], block_size=[1, None]):
        s, h = tile_h.begin // heads, tile_h.begin % heads
        g = h // share
        first_q, first_k = int(begins_q[s]), int(begins_k[s])
        m, n = int(begins_q[s + 1]) - first_q, int(begins_k[s + 1]) - first_k
        if tile_m.begin < m:
            inside = tile_m.index < m
            query = hl.load(q, [tile_m + first_q, h, slice(None)], extra_mask=inside[:, None])
            out_grad = hl.load(grad, [tile_m + first_q, h, slice(None)], extra_mask=inside[:, None])
            log = finite_logs(hl.load(logs, [h, tile_m + first_q], extra_mask=inside), True)
            shift = hl.load(delta, [h, tile_m + first_q], extra_mask=inside)
            rows = tile_m.index[:, None] + (n - m)
            acc = hl.zeros([tile_m, d], dtype=torch.float32)
            for begin, end, cut in runs(tile_m.begin + n - m, tile_m.end - 1 + n - m, left, right, n, block):
                for tile_n in hl.tile(begin, end, block_size=block):
                    kept = tile_n.index < n
                    key = hl.load(k, [tile_n + first_k, g, slice(None)], extra_mask=kept[:, None] if cut else None)
                    value = hl.load(v, [tile_n + first_k, g, slice(None)], extra_mask=kept[:, None] if cut else None)
                    scores = hl.dot(query, key.T) * base2
                    if cut:
                        scores = only(seen(rows, tile_n.index[None, :], left, right), scores, kept[None, :])
                    ds = torch.exp2(scores - log[:, None]) * (hl.dot(out_grad, value.T) - shift[:, None])
                    acc = torch.addmm(acc, ds.to(q.dtype), key)
            hl.store(dq, [tile_m + first_q, h, slice(None)], (acc * scale).to(q.dtype), extra_mask=inside[:, None])
    return dq


@product_kernel("attention_varlen")
def varlen_dkdv(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, grad: torch.Tensor, logs: torch.Tensor, delta: torch.Tensor,
    begins_q: torch.Tensor, begins_k: torch.Tensor, longest_k: int, scale: float, band: tuple[int, int],
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    """The gradients of k and v, from transposed scores as in `attention_dkdv`."""
    (left, right), (_, heads, d), count = band, q.size(), begins_q.size(0) - 1
    groups, d, e = k.size(1), hl.specialize(d), hl.specialize(v.size(2))
    share = heads // groups
    dk, dv = (
        torch.empty(k.size(), dtype=k.dtype, device=k.device),
        torch.empty(v.size(), dtype=v.dtype, device=v.device),
    )
    block = hl.register_block_size(16, 256)
    base2 = scale * LOG2E
    for tile_g, tile_n in hl.tile([count * groups, longest_k], block_size=[1, None]):
        s, g = tile_g.begin // groups, tile_g.begin % groups
        first_q, first_k = int(begins_q[s]), int(begins_k[s])
        m, n = int(begins_q[s + 1]) - first_q, int(begins_k[s + 1]) - first_k
        if tile_n.begin < n:
            inside = (tile_n.index < n)[:, None]
            key = hl.load(k, [tile_n + first_k, g, slice(None)], extra_mask=inside)
            value = hl.load(v, [tile_n + first_k, g, slice(None)], extra_mask=inside)
            columns = tile_n.index[:, None] - (n - m)
            acc_k = hl.zeros([tile_n, d], dtype=torch.float32)
            acc_v = hl.zeros([tile_n, e], dtype=torch.float32)
            for member in hl.grid(share):
                h = g * share + member
                for begin, end, cut in runs(tile_n.begin + m - n, tile_n.end - 1 + m - n, right, left, m, block):
                    for tile_m in hl.tile(begin, end, block_size=block):
                        kept = tile_m.index < m
                        mask = kept[:, None] if cut else None
                        query = hl.load(q, [tile_m + first_q, h, slice(None)], extra_mask=mask)
                        out_grad = hl.load(grad, [tile_m + first_q, h, slice(None)], extra_mask=mask)
                        log = hl.load(logs, [h, tile_m + first_q], extra_mask=kept if cut else None)
                        shift = hl.load(delta, [h, tile_m + first_q], extra_mask=kept if cut else None)
                        scores = hl.dot(key, query.T) * base2
                        if cut:
                            scores = only(seen(tile_m.index[None, :], columns, left, right), scores, kept[None, :])
                        p = torch.exp2(scores - finite_logs(log, True)[None, :])
                        acc_v = torch.addmm(acc_v, p.to(v.dtype), out_grad)
                        ds = p * (hl.dot(value, out_grad.T) - shift[None, :])
                        acc_k = torch.addmm(acc_k, ds.to(q.dtype), query)
            hl.store(dk, [tile_n + first_k, g, slice(None)], (acc_k * scale).to(k.dtype), extra_mask=inside)
            hl.store(dv, [tile_n + first_k, g, slice(None)], acc_v.to(v.dtype), extra_mask=inside)
    return dk, dv
