"""Means of jagged rows over their first features: out[i, f] is the mean of values[offsets[i]:offsets[i + 1], f] for
f < features[i], and 0 beyond. Empty rows give 0.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from _harness import Case, main

import helion
import helion.language as hl


@helion.kernel()
def jagged_mean(values: torch.Tensor, offsets: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
    rows, most = offsets.size(0) - 1, values.size(1)
    out = torch.empty([rows, most], dtype=values.dtype, device=values.device)
    for tile_r, tile_f in hl.tile([rows, most]):
        starts = offsets[tile_r]
        lengths = offsets[tile_r + 1] - starts
        used = tile_f.index[None, :] < features[tile_r][:, None]
        total = hl.zeros([tile_r, tile_f], dtype=torch.float32)
        for tile_j in hl.tile(0, lengths.amax()):
            index = starts[:, None] + tile_j.index[None, :]
            inside = tile_j.index[None, :] < lengths[:, None]
            part = hl.load(values, [index, tile_f], extra_mask=inside[:, :, None] & used[:, None, :])
            total += part.to(torch.float32).sum(1)
        count = torch.clamp(lengths, min=1).to(torch.float32)
        out[tile_r, tile_f] = torch.where(used, total / count[:, None], 0.0).to(values.dtype)
    return out


def reference(values: torch.Tensor, offsets: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
    rows = values.tensor_split(offsets[1:-1].cpu())
    means = torch.stack([row.sum(0) / max(1, row.size(0)) for row in rows])
    return torch.where(torch.arange(values.size(1), device=values.device) < features[:, None], means, 0.0)


def _case(device: str, dtype: torch.dtype, lengths: list[int], most: int) -> Case:
    values = torch.randn(sum(lengths), most, device=device, dtype=dtype)
    offsets = torch.tensor([0, *lengths], device=device).cumsum(0)
    features = torch.randint(0, most + 1, (len(lengths),), device=device)
    name = f"{len(lengths)} rows, {sum(lengths)}x{most}"
    return Case(name, jagged_mean, (values, offsets, features), reference)


def cases(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield _case(device, dtype, [3, 0, 17, 1, 40], 20)


def typical(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield _case(device, dtype, [(37 * i) % 512 for i in range(512)], 128)


if __name__ == "__main__":
    main()
