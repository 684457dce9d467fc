"""Sums of segments: out[s, :] = sum of values[i, :] over all i with segments[i] == s, the segments sorted.

Within a tile an associative scan adds what belongs to one segment; the last element of every segment in the tile,
which holds its sum there, is added to the result atomically.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from _harness import Case, main

import helion
import helion.language as hl


def combine(left: Any, left_segment: Any, right: Any, right_segment: Any) -> tuple[Any, Any]:
    """Sums run on within a segment and start again in the next."""
    return torch.where(left_segment == right_segment, left + right, right), right_segment


@helion.kernel()
def segment_reduction(values: torch.Tensor, segments: torch.Tensor, count: int) -> torch.Tensor:
    n, features = values.size()
    out = torch.zeros([count, features], dtype=torch.float32, device=values.device)
    for tile_n, tile_f in hl.tile([n, features]):
        segment = segments[tile_n]
        following = hl.load(segments, [tile_n.index + 1], extra_mask=tile_n.index + 1 < n)
        last = (segment != following) | (tile_n.index + 1 == tile_n.end)
        part = values[tile_n, tile_f].to(torch.float32)
        sums, _ = hl.associative_scan(combine, (part, segment[:, None].expand(part.shape)), dim=0)
        hl.atomic_add(out, [segment, tile_f], torch.where(last[:, None], sums, 0.0))
    return out


def reference(values: torch.Tensor, segments: torch.Tensor, count: int) -> torch.Tensor:
    return torch.zeros(count, values.size(1), dtype=values.dtype, device=values.device).index_add(0, segments, values)


def _case(device: str, dtype: torch.dtype, n: int, features: int, count: int) -> Case:
    segments = torch.randint(0, count, (n,), device=device).sort().values
    values = torch.randn(n, features, device=device, dtype=dtype)
    return Case(f"{n}x{features} in {count}", segment_reduction, (values, segments, count), reference)


def cases(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield _case(device, dtype, 300, 20, 7)
    yield _case(device, dtype, 50, 33, 200)


def typical(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield _case(device, dtype, 100_000, 128, 5000)


if __name__ == "__main__":
    main()
