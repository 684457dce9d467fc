"""The kernels of the backward pass (Dao, "FlashAttention-2", 2023): dq, and dk with dv; no atomics, so deterministic.

With P = softmax(S), S = q @ k^T * scale + bias and D = rowsum(grad * out): dv = P^T @ grad, dS = P * (grad @ v^T - D),
dq = dS @ k * scale, dk = dS^T @ q * scale, and dS is the gradient of the bias. P is computed again from the logarithms
of the sums that the forward pass kept; their own gradient is subtracted from D.
"""

from __future__ import annotations

import math
from typing import Any

import torch

import helion.language as hl

from ..frame import kernel
from ..frame.products import product_kernel
from .band import extent, hidden, longest_first, runs
from .forward import LOG2E, biased


@kernel("attention")
def attention_delta(grad: torch.Tensor, out: torch.Tensor, grad_logs: torch.Tensor | None) -> torch.Tensor:
    """D, [b, h, m]; grad and out [b, h, m, e]."""
    batch, heads, m, e = out.size()
    e = hl.specialize(e)
    delta = torch.empty([batch, heads, m], dtype=torch.float32, device=out.device)
    for tile_h, tile_m in hl.tile([batch * heads, m], block_size=[1, None]):
        b, h = tile_h.begin // heads, tile_h.begin % heads
        sums = (grad[b, h, tile_m, :].to(torch.float32) * out[b, h, tile_m, :].to(torch.float32)).sum(-1)
        delta[b, h, tile_m] = sums if grad_logs is None else sums - grad_logs[b, h, tile_m]
    return delta


def finite_logs(logs: Any, may_be_empty: bool) -> Any:
    """Logarithms in base 2; those of empty rows become infinite, so that all powers are 0."""
    logs = logs * LOG2E
    return torch.where(logs == float("-inf"), float("inf"), logs) if may_be_empty else logs


@product_kernel("attention")
def attention_dq(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, grad: torch.Tensor, bias: torch.Tensor | None,
    logs: torch.Tensor, delta: torch.Tensor, scale: float, band: tuple[int, int], dbias: bool,
) -> tuple[torch.Tensor, torch.Tensor | None]:  # fmt: skip
    """The gradients of q and, where `dbias`, of the whole bias: [b, h, m, n]."""
    (left, right), (batch, heads, m, d) = band, q.size()
    groups, n = k.size(1), k.size(2)
    d, share = hl.specialize(d), heads // groups
    dq = torch.empty([batch, m, heads, d], dtype=q.dtype, device=q.device).transpose(1, 2)
    ds_out = torch.zeros([batch, heads, m, n], dtype=torch.float32, device=q.device) if dbias else None
    block = hl.register_block_size(16, 256)
    may_be_empty = bias is not None or left >= 0
    beyond = right < 0 or m + right > n
    base2 = scale * LOG2E
    for tile_h, tile_m in hl.tile([batch * heads, extent(m, right)], block_size=[1, None]):
        at, rows, first, last = longest_first(tile_h.begin, tile_m, batch * heads, m, right)
        b, h = at // heads, at % heads
        g = h // share
        query, out_grad = q[b, h, rows, :], grad[b, h, rows, :]
        log, shift = finite_logs(logs[b, h, rows], may_be_empty), delta[b, h, rows]
        acc = hl.zeros([tile_m, d], dtype=torch.float32)
        for begin, end, cut in runs(first, last, left, right, n, block):
            for tile_n in hl.tile(begin, end, block_size=block):
                key = k[b, g, tile_n, :]
                base = None
                if cut:
                    columns = tile_n.index[None, :]
                    base = hidden(rows.index[:, None], columns, left, right, columns < n if beyond else None)
                scores = hl.dot(query, key.T, acc=base)
                scores = scores * base2 if bias is None else biased(scores, bias[b, h, rows, tile_n], base2)
                p = torch.exp2(scores - log[:, None])
                ds = p * (hl.dot(out_grad, v[b, g, tile_n, :].T) - shift[:, None])
                if ds_out is not None:
                    ds_out[b, h, rows, tile_n] = ds
                acc = torch.addmm(acc, ds.to(q.dtype), key)
        dq[b, h, rows, :] = (acc * scale).to(q.dtype)
    return dq, ds_out


@product_kernel("attention")
def attention_dkdv(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, grad: torch.Tensor, bias: torch.Tensor | None,
    logs: torch.Tensor, delta: torch.Tensor, scale: float, band: tuple[int, int],
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    """The gradients of k and v. Scores are held transposed: P^T and dS^T then are left operands in registers."""
    (left, right), (batch, heads, m, d) = band, q.size()
    groups, n = k.size(1), k.size(2)
    d, e, share = hl.specialize(d), hl.specialize(v.size(3)), heads // groups
    dk = torch.empty([batch, n, groups, d], dtype=k.dtype, device=k.device).transpose(1, 2)
    dv = torch.empty([batch, n, groups, e], dtype=v.dtype, device=v.device).transpose(1, 2)
    block = hl.register_block_size(16, 256)
    may_be_empty = bias is not None or left >= 0
    base2 = scale * LOG2E
    together = 1 if share == 1 else math.gcd(batch * groups, 4)
    for tile_g, tile_n in hl.tile([batch * groups, extent(n, right)], block_size=[1, None]):
        at, keys, first, last = longest_first(tile_g.begin, tile_n, batch * groups, n, right, together, columns=True)
        b, g = at // groups, at % groups
        key, value, columns = k[b, g, keys, :], v[b, g, keys, :], keys.index[:, None]
        acc_k = hl.zeros([tile_n, d], dtype=torch.float32)
        acc_v = hl.zeros([tile_n, e], dtype=torch.float32)
        for s in hl.grid(share):
            h = g * share + s
            for begin, end, cut in runs(first, last, right, left, m, block):
                for tile_m in hl.tile(begin, end, block_size=block):
                    query, out_grad = q[b, h, tile_m, :], grad[b, h, tile_m, :]
                    base = hidden(tile_m.index[None, :], columns, left, right) if cut else None
                    scores = hl.dot(key, query.T, acc=base)
                    scores = scores * base2 if bias is None else biased(scores, bias[b, h, tile_m, keys].T, base2)
                    p = torch.exp2(scores - finite_logs(logs[b, h, tile_m], may_be_empty)[None, :])
                    acc_v = torch.addmm(acc_v, p.to(v.dtype), out_grad)
                    ds = p * (hl.dot(value, out_grad.T) - delta[b, h, tile_m][None, :])
                    acc_k = torch.addmm(acc_k, ds.to(q.dtype), query)
        dk[b, g, keys, :] = (acc_k * scale).to(k.dtype)
        dv[b, g, keys, :] = acc_v.to(v.dtype)
    return dk, dv
