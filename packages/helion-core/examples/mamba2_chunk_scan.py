"""Mamba-2, the outputs of every chunk from its inputs and the state before it (Dao and Gu, "Transformers are SSMs",
2024).

out[l, p] = exp(a[l]) * sum over n of C[l, n] * state[p, n] + sum over k <= l of CB[l, k] * exp(a[l] - a[k]) * dt[k]
* x[k, p] + D * x[l, p], for every batch, chunk and head; CB = C @ B^T is given, a is the running sum of dt * A in
the chunk.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from _harness import Case, main

import helion
import helion.language as hl


@helion.kernel()
def chunk_scan(
    cb: torch.Tensor,
    x: torch.Tensor,
    dt: torch.Tensor,
    a: torch.Tensor,
    c: torch.Tensor,
    states: torch.Tensor,
    d: torch.Tensor,
) -> torch.Tensor:
    """cb: [batch, chunks, groups, L, L]; x: [batch, length, heads, p]; dt, a: [batch, heads, chunks, L];
    c: [batch, length, groups, n]; states: [batch, chunks, heads, p, n]; d: [heads].
    """
    batch, chunks, groups, chunk, _ = cb.size()
    heads, p, n = x.size(2), x.size(3), c.size(3)
    n = hl.specialize(n)
    share = heads // groups
    out = torch.empty_like(x)
    for tile_b, tile_c, tile_h, tile_l, tile_p in hl.tile(
        [batch, chunks, heads, chunk, p], block_size=[1, 1, 1, None, None]
    ):
        i, j, h = tile_b.begin, tile_c.begin, tile_h.begin
        g, start = h // share, j * chunk
        decay = a[i, h, j, tile_l].to(torch.float32)
        acc = hl.dot(c[i, tile_l + start, g, :], states[i, j, h, tile_p, :].to(c.dtype).T)
        acc = acc * torch.exp(decay)[:, None]
        for tile_k in hl.tile(0, tile_l.end):
            difference = decay[:, None] - a[i, h, j, tile_k].to(torch.float32)[None, :]
            causal = tile_l.index[:, None] >= tile_k.index[None, :]
            weights = cb[i, j, g, tile_l, tile_k].to(torch.float32) * dt[i, h, j, tile_k].to(torch.float32)[None, :]
            weights = torch.where(causal, weights * torch.exp(difference), 0.0)
            acc = torch.addmm(acc, weights.to(x.dtype), x[i, tile_k + start, h, tile_p])
        acc = acc + x[i, tile_l + start, h, tile_p].to(torch.float32) * d[h].to(torch.float32)
        out[i, tile_l + start, h, tile_p] = acc.to(x.dtype)
    return out


def reference(
    cb: torch.Tensor, x: torch.Tensor, dt: torch.Tensor, a: torch.Tensor, c: torch.Tensor, states: torch.Tensor,
    d: torch.Tensor,
) -> torch.Tensor:  # fmt: skip
    _, chunks, groups, chunk, _ = cb.size()
    share = x.size(2) // groups
    cb, c = cb.repeat_interleave(share, dim=2), c.repeat_interleave(share, dim=2).unflatten(1, (chunks, chunk))
    inputs, a = x.unflatten(1, (chunks, chunk)), a.transpose(1, 2)
    decay = torch.exp(a[..., :, None] - a[..., None, :]).tril() * dt.transpose(1, 2)[..., None, :]
    within = torch.einsum("bchlk,bckhp->bclhp", cb * decay, inputs)
    before = torch.einsum("bclhn,bchpn,bchl->bclhp", c, states, torch.exp(a))
    return (within + before).flatten(1, 2) + x * d[:, None]


def _case(
    device: str, dtype: torch.dtype, batch: int, chunks: int, chunk: int, heads: int, groups: int, p: int, n: int
) -> Case:
    b, c = (torch.randn(batch, chunks * chunk, groups, n, device=device, dtype=dtype) / n**0.5 for _ in range(2))
    cb = torch.einsum("bclgn,bckgn->bcglk", *(t.unflatten(1, (chunks, chunk)) for t in (c, b)))
    x = torch.randn(batch, chunks * chunk, heads, p, device=device, dtype=dtype)
    dt = torch.rand(batch, heads, chunks, chunk, device=device)
    states = torch.randn(batch, chunks, heads, p, n, device=device, dtype=dtype)
    args = (cb, x, dt, -(dt * 0.1).cumsum(-1), c, states, torch.randn(heads, device=device))
    return Case(f"{batch}x{chunks}x{chunk}x{heads}x{p}x{n}", chunk_scan, args, reference)


def cases(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield _case(device, dtype, 1, 2, 48, 4, 2, 20, 24)


def typical(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield _case(device, dtype, 8, 16, 256, 80, 1, 64, 128)


if __name__ == "__main__":
    main()
