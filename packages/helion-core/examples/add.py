"""Elementwise addition of tensors that broadcast: out = x + y."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from _harness import Case, main

import helion
import helion.language as hl


@helion.kernel()
def add(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    x, y = torch.broadcast_tensors(x, y)
    out = torch.empty(x.shape, dtype=torch.promote_types(x.dtype, y.dtype), device=x.device)
    for tile in hl.tile(out.size()):
        out[tile] = x[tile] + y[tile]
    return out


def reference(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return x + y


SHAPES = {
    "same": ((45, 70), (45, 70)),
    "row": ((45, 70), (70,)),
    "outer": ((45, 1), (1, 70)),
    "three dims": ((3, 5, 7), (5, 1)),
    "scalar": ((33,), ()),
    "empty": ((4, 0), (1,)),
}


def cases(device: str, dtype: torch.dtype) -> Iterator[Case]:
    for name, shapes in SHAPES.items():
        x, y = (torch.randn(shape, device=device, dtype=dtype) for shape in shapes)
        yield Case(name, add, (x, y), reference)
    x = torch.randn(50, 40, device=device, dtype=dtype)
    yield Case("transposed view", add, (x.t(), x[:40, :1]), reference)


def typical(device: str, dtype: torch.dtype) -> Iterator[Case]:
    x, y = (torch.randn(4096, 4096, device=device, dtype=dtype) for _ in range(2))
    yield Case("4096x4096", add, (x, y), reference)


if __name__ == "__main__":
    main()
