"""Product of a batch with one matrix: out[b] = x[b] @ y, for x of [batch, m, k] and y of [k, n]."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from _harness import Case, main

import helion
import helion.language as hl


@helion.kernel()
def broadcast_matmul(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """`torch.matmul` broadcasts the batch in the kernel as it does on the host."""
    batch, m, k = x.size()
    n = y.size(1)
    out = torch.empty([batch, m, n], dtype=x.dtype, device=x.device)
    for tile_b, tile_m, tile_n in hl.tile([batch, m, n], block_size=[1, None, None]):
        acc = hl.zeros([tile_b, tile_m, tile_n], dtype=torch.float32)
        for tile_k in hl.tile(k):
            acc = hl.dot(x[tile_b, tile_m, tile_k], y[None, tile_k, tile_n], acc=acc)
        out[tile_b, tile_m, tile_n] = acc
    return out


@helion.kernel()
def broadcast_matmul_flat(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Batch and rows as one dimension, where the strides of x allow that view."""
    rows = x.view(-1, x.size(-1))
    m, k = rows.size()
    n = y.size(1)
    out = torch.empty([m, n], dtype=x.dtype, device=x.device)
    for tile_m, tile_n in hl.tile([m, n]):
        acc = hl.zeros([tile_m, tile_n], dtype=torch.float32)
        for tile_k in hl.tile(k):
            acc = torch.addmm(acc, rows[tile_m, tile_k], y[tile_k, tile_n])
        out[tile_m, tile_n] = acc
    return out.view(*x.size()[:-1], n)


def reference(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return x @ y


def _cases(device: str, dtype: torch.dtype, batch: int, m: int, n: int, k: int) -> Iterator[Case]:
    x, y = torch.randn(batch, m, k, device=device, dtype=dtype), torch.randn(k, n, device=device, dtype=dtype)
    yield Case(f"batched, {batch}x{m}x{n}x{k}", broadcast_matmul, (x, y), reference)
    yield Case(f"flat, {batch}x{m}x{n}x{k}", broadcast_matmul_flat, (x, y), reference)


def cases(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield from _cases(device, dtype, 3, 40, 70, 50)


def typical(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield from _cases(device, dtype, 16, 512, 1024, 768)


if __name__ == "__main__":
    main()
