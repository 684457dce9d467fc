"""Products of jagged rows with a matrix and a bias each: out[s:e, :] = values[s:e, :] @ dense[i] + bias[i], with s,
e the bounds of row i: offsets[i] and offsets[i + 1].
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from _harness import Case, main

import helion
import helion.language as hl


@helion.kernel()
def jagged_dense_bmm(
    values: torch.Tensor, offsets: torch.Tensor, dense: torch.Tensor, bias: torch.Tensor
) -> torch.Tensor:
    rows, k, n = dense.size()
    out = torch.empty([values.size(0), n], dtype=values.dtype, device=values.device)
    for tile_r in hl.tile(rows, block_size=1):
        r = tile_r.begin
        for tile_j, tile_n in hl.tile([offsets[r], 0], [offsets[r + 1], n]):
            acc = hl.zeros([tile_j, tile_n], dtype=torch.float32)
            for tile_k in hl.tile(k):
                acc = torch.addmm(acc, values[tile_j, tile_k], dense[r, tile_k, tile_n])
            out[tile_j, tile_n] = (acc + bias[r, tile_n].to(torch.float32)).to(values.dtype)
    return out


def reference(values: torch.Tensor, offsets: torch.Tensor, dense: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    rows = values.tensor_split(offsets[1:-1].cpu())
    return torch.cat([row @ m + b for row, m, b in zip(rows, dense, bias, strict=True)])


def _case(device: str, dtype: torch.dtype, lengths: list[int], k: int, n: int) -> Case:
    values = torch.randn(sum(lengths), k, device=device, dtype=dtype)
    offsets = torch.tensor([0, *lengths], device=device).cumsum(0)
    dense, bias = (torch.randn(len(lengths), *s, n, device=device, dtype=dtype) for s in ((k,), ()))
    name = f"{len(lengths)} rows, {sum(lengths)}x{k}x{n}"
    return Case(name, jagged_dense_bmm, (values, offsets, dense, bias), reference)


def cases(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield _case(device, dtype, [3, 0, 17, 1, 40], 24, 35)


def typical(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield _case(device, dtype, [(37 * i) % 512 for i in range(512)], 256, 256)


if __name__ == "__main__":
    main()
