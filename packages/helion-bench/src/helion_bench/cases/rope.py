"""Rotary position embedding of queries and keys."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from .operation import Operation, Pass, Random, Shape
from .results import Inputs, Sizes


def _heads(
    batch: int, heads: int, kv_heads: int, seq: int, dim: int, *, quick: bool = False, cpu: bool = False
) -> Shape:
    sizes = {"batch": batch, "heads": heads, "kv_heads": kv_heads, "seq": seq, "dim": dim}
    return Shape(sizes, quick=quick, cpu=cpu)


class Rope(Operation):
    """q and k, their halves rotated against each other by an angle of the position (https://arxiv.org/abs/2104.09864).

    [left · cos - right · sin, right · cos + left · sin]
    """

    name = "rope"
    ours = "helion_kernels:rope"
    shapes = (
        _heads(4, 32, 8, 4096, 128, quick=True),
        _heads(1, 32, 8, 8192, 128),
        _heads(8, 16, 16, 2048, 64),
        _heads(4, 32, 32, 2048, 128, quick=True),
        _heads(1, 64, 8, 16384, 128),
        _heads(2, 3, 1, 16, 32, cpu=True),
        _heads(1, 2, 2, 7, 16, cpu=True),
    )
    gradients = ("q", "k")
    rows: ClassVar[tuple[str, ...]] = ("q", "k")

    def make(self, sizes: Sizes, dtype: torch.dtype, random: Random) -> Inputs:
        batch, seq, dim = sizes["batch"], sizes["seq"], sizes["dim"]
        frequencies = 10000.0 ** (-torch.arange(0, dim, 2, device=random.device, dtype=torch.float32) / dim)
        angles = torch.arange(seq, device=random.device, dtype=torch.float32)[:, None] * frequencies
        return {
            "q": random.normal(batch, sizes["heads"], seq, dim, dtype=dtype),
            "k": random.normal(batch, sizes["kv_heads"], seq, dim, dtype=dtype),
            "cos": angles.cos().to(dtype),
            "sin": angles.sin().to(dtype),
        }

    def eager(self, **inputs: Any) -> Any:
        cos, sin = inputs["cos"], inputs["sin"]
        return _rotated(inputs["q"], cos, sin), _rotated(inputs["k"], cos, sin)

    def flops(self, sizes: Sizes, pass_: Pass) -> float:
        return 3.0 * _elements(sizes)

    def bytes(self, sizes: Sizes, itemsize: int, pass_: Pass) -> float:
        return (2 * _elements(sizes) + sizes["seq"] * sizes["dim"]) * itemsize


def _rotated(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    left, right = x.chunk(2, -1)
    return torch.cat([left * cos - right * sin, right * cos + left * sin], -1)


def _elements(sizes: Sizes) -> int:
    return sizes["batch"] * (sizes["heads"] + sizes["kv_heads"]) * sizes["seq"] * sizes["dim"]
