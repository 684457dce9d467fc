"""Gated delta rule, the states between chunks (Yang, Kautz and Hatamizadeh, "Gated Delta Networks", 2024).

For every batch and head, over chunks of L steps, with G the chunk's gates (running sums in the chunk, g its last
one): state[c] = S, new = u - w @ S, S = exp(g) * S + k^T @ (exp(g - G) * new).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from _harness import Case, main

import helion
import helion.language as hl


@helion.kernel()
def chunk_states(
    k: torch.Tensor, w: torch.Tensor, u: torch.Tensor, gate: torch.Tensor, chunk: hl.constexpr
) -> torch.Tensor:
    """k, w: [batch, length, heads, dk]; u: [batch, length, heads, dv]; gate: [batch, length, heads]."""
    batch, length, heads, dk = k.size()
    dv, dk = u.size(3), hl.specialize(dk)
    chunks = (length + chunk - 1) // chunk
    states = torch.empty([batch, chunks, heads, dk, dv], dtype=k.dtype, device=k.device)
    for tile_b, tile_h, tile_v in hl.tile([batch, heads, dv], block_size=[1, 1, None]):
        b, h = tile_b.begin, tile_h.begin
        state = hl.zeros([dk, tile_v], dtype=torch.float32)
        for tile_t in hl.tile(length, block_size=chunk):
            states[b, tile_t.id, h, :, tile_v] = state.to(k.dtype)
            new = u[b, tile_t, h, tile_v].to(torch.float32) - hl.dot(w[b, tile_t, h, :], state.to(k.dtype))
            last = gate[b, tile_t.end - 1, h].to(torch.float32)
            decay = torch.exp(last - gate[b, tile_t, h].to(torch.float32))
            weighted = torch.where(tile_t.index[:, None] < length, new * decay[:, None], 0.0)
            state = torch.addmm(state * torch.exp(last), k[b, tile_t, h, :].T, weighted.to(k.dtype))
    return states


def reference(k: torch.Tensor, w: torch.Tensor, u: torch.Tensor, gate: torch.Tensor, chunk: int) -> torch.Tensor:
    batch, length, heads, dk = k.size()
    state = torch.zeros(batch, heads, dk, u.size(3), dtype=k.dtype, device=k.device)
    states = []
    for start in range(0, length, chunk):
        ks, ws, us, gs = (t[:, start : start + chunk].transpose(1, 2) for t in (k, w, u, gate))
        states.append(state)
        new = us - ws @ state
        last = gs[..., -1:]
        state = state * torch.exp(last)[..., None] + ks.transpose(-1, -2) @ (new * torch.exp(last - gs)[..., None])
    return torch.stack(states, dim=1)


def _case(device: str, dtype: torch.dtype, batch: int, length: int, heads: int, dk: int, dv: int, chunk: int) -> Case:
    k, w = (torch.randn(batch, length, heads, dk, device=device, dtype=dtype) / math.sqrt(dk) for _ in range(2))
    u = torch.randn(batch, length, heads, dv, device=device, dtype=dtype)
    steps = -torch.rand(batch, length, heads, device=device) * 0.1
    gate = torch.cat([part.cumsum(1) for part in steps.split(chunk, dim=1)], dim=1)
    return Case(f"{batch}x{length}x{heads}x{dk}x{dv}", chunk_states, (k, w / 4, u, gate, chunk), reference)


def cases(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield _case(device, dtype, 1, 150, 2, 32, 40, 64)


def typical(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield _case(device, dtype, 8, 4096, 80, 64, 128, 64)


if __name__ == "__main__":
    main()
