"""Mamba-2, the state at the end of every chunk (Dao and Gu, "Transformers are SSMs", 2024).

states[b, c, h, p, n] = sum over l of x[b, c L + l, h, p] * dt[b, h, c, l] * exp(a[b, h, c, L - 1] - a[b, h, c, l]) *
B[b, c L + l, g, n], with a the running sum of dt * A in the chunk, L its length and g = h / (heads / groups).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from _harness import Case, main

import helion
import helion.language as hl


@helion.kernel()
def chunk_state(b: torch.Tensor, x: torch.Tensor, dt: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
    """b: [batch, length, groups, n]; x: [batch, length, heads, p]; dt, a: [batch, heads, chunks, L]."""
    batch, _, groups, n = b.size()
    heads, p = x.size(2), x.size(3)
    chunks, chunk = a.size(2), a.size(3)
    share = heads // groups
    states = torch.empty([batch, chunks, heads, p, n], dtype=torch.float32, device=x.device)
    for tile_b, tile_c, tile_h, tile_p, tile_n in hl.tile(
        [batch, chunks, heads, p, n], block_size=[1, 1, 1, None, None]
    ):
        i, c, h = tile_b.begin, tile_c.begin, tile_h.begin
        end = a[i, h, c, chunk - 1].to(torch.float32)
        acc = hl.zeros([tile_p, tile_n], dtype=torch.float32)
        for tile_l in hl.tile(chunk):
            decay = torch.exp(end - a[i, h, c, tile_l].to(torch.float32)) * dt[i, h, c, tile_l].to(torch.float32)
            at = tile_l.index + c * chunk
            right = (b[i, at, h // share, tile_n].to(torch.float32) * decay[:, None]).to(x.dtype)
            acc = torch.addmm(acc, x[i, at, h, tile_p].T, right)
        states[i, c, h, tile_p, tile_n] = acc
    return states


def reference(b: torch.Tensor, x: torch.Tensor, dt: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
    chunks, chunk = a.size(2), a.size(3)
    b = b.repeat_interleave(x.size(2) // b.size(2), dim=2).unflatten(1, (chunks, chunk))
    decay = torch.exp(a[..., -1:] - a) * dt
    return torch.einsum("bclhn,bhcl,bclhp->bchpn", b, decay, x.unflatten(1, (chunks, chunk)))


def _case(
    device: str, dtype: torch.dtype, batch: int, chunks: int, chunk: int, heads: int, groups: int, p: int, n: int
) -> Case:
    b = torch.randn(batch, chunks * chunk, groups, n, device=device, dtype=dtype)
    x = torch.randn(batch, chunks * chunk, heads, p, device=device, dtype=dtype)
    dt = torch.rand(batch, heads, chunks, chunk, device=device)
    a = -(dt * 0.1).cumsum(-1)
    return Case(f"{batch}x{chunks}x{chunk}x{heads}x{p}x{n}", chunk_state, (b, x, dt, a), reference)


def cases(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield _case(device, dtype, 1, 2, 48, 4, 2, 20, 24)


def typical(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield _case(device, dtype, 8, 16, 256, 80, 1, 64, 128)


if __name__ == "__main__":
    main()
