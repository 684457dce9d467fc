"""Rotary position embedding (Su et al., "RoFormer", 2021), in the layout that rotates the two halves of a head.

For x of [batch, heads, length, d] and cos, sin of [length, d / 2]: left' = left * cos - right * sin and
right' = right * cos + left * sin. The gradient is the rotation by the negative angle.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from _harness import Case, main

import helion
import helion.language as hl


@helion.kernel()
def rope(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, inverse: bool = False) -> torch.Tensor:
    batch, heads, length, d = x.size()
    half = hl.specialize(d // 2)
    out = torch.empty_like(x)
    sign = -1.0 if inverse else 1.0
    for tile_b, tile_h, tile_t in hl.tile([batch, heads, length], block_size=[1, None, None]):
        c = cos[tile_t, :].to(torch.float32)[None, None, :, :]
        s = sin[tile_t, :].to(torch.float32)[None, None, :, :] * sign
        left = x[tile_b, tile_h, tile_t, :half].to(torch.float32)
        right = x[tile_b, tile_h, tile_t, half:].to(torch.float32)
        out[tile_b, tile_h, tile_t, :half] = (left * c - right * s).to(x.dtype)
        out[tile_b, tile_h, tile_t, half:] = (right * c + left * s).to(x.dtype)
    return out


@helion.kernel()
def rope_interleaved(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """The layout of the paper, which rotates neighbouring elements: pairs are split and joined in registers."""
    length, d = x.size(2), x.size(3)
    half = hl.specialize(d // 2)
    rows = x.reshape(-1, length, half, 2)
    out = torch.empty_like(rows)
    for tile_r, tile_t in hl.tile([rows.size(0), length]):
        c, s = cos[tile_t, :].to(torch.float32)[None, :, :], sin[tile_t, :].to(torch.float32)[None, :, :]
        left, right = hl.split(rows[tile_r, tile_t, :, :].to(torch.float32))
        out[tile_r, tile_t, :, :] = hl.join(left * c - right * s, right * c + left * s).to(x.dtype)
    return out.view(x.size())


def reference(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, inverse: bool = False) -> torch.Tensor:
    left, right = x.chunk(2, dim=-1)
    sin = -sin if inverse else sin
    return torch.cat([left * cos - right * sin, right * cos + left * sin], dim=-1)


def reference_interleaved(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    left, right = x[..., 0::2], x[..., 1::2]
    return torch.stack([left * cos - right * sin, right * cos + left * sin], dim=-1).flatten(-2)


def _cases(device: str, dtype: torch.dtype, batch: int, heads: int, length: int, d: int) -> Iterator[Case]:
    x = torch.randn(batch, length, heads, d, device=device, dtype=dtype).transpose(1, 2)
    angle = torch.arange(length, device=device)[:, None] * 10000 ** (-torch.arange(d // 2, device=device) / (d // 2))
    cos, sin = angle.cos().to(dtype), angle.sin().to(dtype)
    name = f"{batch}x{heads}x{length}x{d}"
    yield Case(f"forward, {name}", rope, (x, cos, sin), reference)
    yield Case(f"backward, {name}", rope, (x, cos, sin, True), reference)
    yield Case(f"interleaved, {name}", rope_interleaved, (x, cos, sin), reference_interleaved)


def cases(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield from _cases(device, dtype, 2, 3, 21, 32)


def typical(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield from _cases(device, dtype, 4, 32, 4096, 128)


if __name__ == "__main__":
    main()
