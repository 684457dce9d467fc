"""Product of a matrix with int4 weights, two of which share a byte: out = x @ unpack(packed) * scale.

packed is int8 of [k / 2, n]; its low half holds row 2i, its high half row 2i + 1, both signed. The first kernel
multiplies the even and the odd columns of x with one half each. scale is per column.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from _harness import Case, main

import helion
import helion.language as hl


@helion.kernel()
def int4_gemm(x: torch.Tensor, packed: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    m, half_k, n = x.size(0), packed.size(0), packed.size(1)
    even, odd = x[:, 0::2], x[:, 1::2]
    out = torch.empty([m, n], dtype=x.dtype, device=x.device)
    for tile_m, tile_n in hl.tile([m, n]):
        acc = hl.zeros([tile_m, tile_n], dtype=torch.float32)
        for tile_k in hl.tile(half_k):
            both = packed[tile_k, tile_n]
            low = ((both << 4) >> 4).to(x.dtype)  # the shift back extends the sign
            high = (both >> 4).to(x.dtype)
            acc = torch.addmm(acc, even[tile_m, tile_k], low)
            acc = torch.addmm(acc, odd[tile_m, tile_k], high)
        out[tile_m, tile_n] = (acc * scale[tile_n].to(torch.float32)).to(x.dtype)
    return out


@helion.kernel()
def int4_gemm_interleaved(x: torch.Tensor, packed: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """The halves put back in order in registers, for one product twice as deep."""
    m, k, n = x.size(0), x.size(1), packed.size(1)
    out = torch.empty([m, n], dtype=x.dtype, device=x.device)
    block = hl.register_block_size(16, 64)
    for tile_m, tile_n in hl.tile([m, n]):
        acc = hl.zeros([tile_m, tile_n], dtype=torch.float32)
        for tile_k in hl.tile(k // 2, block_size=block):
            both = packed[tile_k, tile_n]
            rows = torch.stack([(both << 4) >> 4, both >> 4], dim=1).reshape(2 * block, tile_n)
            column = 2 * tile_k.begin + hl.arange(2 * block)
            left = hl.load(x, [tile_m, column], extra_mask=(column < k)[None, :])
            acc = torch.addmm(acc, left, rows.to(x.dtype))
        out[tile_m, tile_n] = (acc * scale[tile_n].to(torch.float32)).to(x.dtype)
    return out


def pack(weights: torch.Tensor) -> torch.Tensor:
    """int8 [k, n] of values from -8 to 7 to int8 [k / 2, n]."""
    return (weights[0::2] & 0xF) | (weights[1::2] << 4)


def reference(x: torch.Tensor, packed: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    rows = torch.stack([(packed << 4) >> 4, packed >> 4], dim=1).flatten(0, 1)
    return x @ rows.to(x.dtype) * scale


def _cases(device: str, dtype: torch.dtype, m: int, n: int, k: int) -> Iterator[Case]:
    packed = pack(torch.randint(-8, 8, (k, n), device=device, dtype=torch.int8))
    args = (torch.randn(m, k, device=device, dtype=dtype), packed, torch.rand(n, device=device, dtype=dtype) / 8)
    yield Case(f"{m}x{n}x{k}", int4_gemm, args, reference)
    yield Case(f"interleaved, {m}x{n}x{k}", int4_gemm_interleaved, args, reference)


def cases(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield from _cases(device, dtype, 20, 50, 100)


def typical(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield from _cases(device, dtype, 256, 4096, 4096)


if __name__ == "__main__":
    main()
