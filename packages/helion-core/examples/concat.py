"""Concatenation of two matrices along their columns: out = torch.cat([x, y], dim=1)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from _harness import Case, main

import helion
import helion.language as hl


@helion.kernel()
def concat(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """One loop over all columns: each lane reads x or y, and its extra mask keeps it out of the other."""
    rows, left, right = x.size(0), x.size(1), y.size(1)
    out = torch.empty([rows, left + right], dtype=x.dtype, device=x.device)
    for tile_row, tile_column in hl.tile(out.size()):
        column = tile_column.index
        from_x = (column < left)[None, :]
        in_x = hl.load(x, [tile_row, column], extra_mask=from_x)
        in_y = hl.load(y, [tile_row, column - left], extra_mask=(column >= left)[None, :])
        out[tile_row, tile_column] = torch.where(from_x, in_x, in_y)
    return out


@helion.kernel()
def concat_by_copies(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Two loops, one for each source."""
    rows, left, right = x.size(0), x.size(1), y.size(1)
    out = torch.empty([rows, left + right], dtype=x.dtype, device=x.device)
    for tile_row, tile_column in hl.tile([rows, left]):
        out[tile_row, tile_column] = x[tile_row, tile_column]
    for tile_row, tile_column in hl.tile([rows, right]):
        out[tile_row, tile_column + left] = y[tile_row, tile_column]
    return out


def reference(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return torch.cat([x, y], dim=1)


def cases(device: str, dtype: torch.dtype) -> Iterator[Case]:
    for rows, left, right in ((19, 33, 50), (7, 1, 64)):
        args = (
            torch.randn(rows, left, device=device, dtype=dtype),
            torch.randn(rows, right, device=device, dtype=dtype),
        )
        yield Case(f"{rows}x({left}+{right})", concat, args, reference)
        yield Case(f"copies, {rows}x({left}+{right})", concat_by_copies, args, reference)


def typical(device: str, dtype: torch.dtype) -> Iterator[Case]:
    args = tuple(torch.randn(4096, n, device=device, dtype=dtype) for n in (3000, 5000))
    yield Case("4096x(3000+5000)", concat, args, reference)
    yield Case("copies, 4096x(3000+5000)", concat_by_copies, args, reference)


if __name__ == "__main__":
    main()
