"""Embedding lookup: out[..., :] = weight[index[...], :]."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from _harness import Case, main

import helion
import helion.language as hl


@helion.kernel()
def embedding(index: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    flat = index.reshape(-1)
    out = torch.empty([flat.size(0), weight.size(1)], dtype=weight.dtype, device=weight.device)
    for tile_row, tile_column in hl.tile(out.size()):
        out[tile_row, tile_column] = weight[flat[tile_row], tile_column]
    return out.view(*index.size(), weight.size(1))


def reference(index: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.embedding(index, weight)


def cases(device: str, dtype: torch.dtype) -> Iterator[Case]:
    for shape in ((17,), (3, 11), (1, 1)):
        index = torch.randint(0, 37, shape, device=device)
        yield Case(f"indices {shape}", embedding, (index, torch.randn(37, 50, device=device, dtype=dtype)), reference)
    index = torch.randint(0, 37, (40,), device=device, dtype=torch.int32)
    yield Case("int32", embedding, (index, torch.randn(37, 64, device=device, dtype=dtype)), reference)


def typical(device: str, dtype: torch.dtype) -> Iterator[Case]:
    index = torch.randint(0, 50257, (8, 2048), device=device)
    yield Case(
        "8x2048 of 50257x1024", embedding, (index, torch.randn(50257, 1024, device=device, dtype=dtype)), reference
    )


if __name__ == "__main__":
    main()
