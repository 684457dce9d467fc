"""Rotary position embedding of queries and keys."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from .operation import Inputs, Operation, Pass, Random, Shape, Sizes


def _heads(batch: int, heads: int, seq: int, dim: int, *, quick: bool = False, cpu: bool = False) -> Shape:
    return Shape({"batch": batch, "heads": heads, "seq": seq, "dim": dim}, quick=quick, cpu=cpu)


class Rope(Operation):
    """x · cos + rotate_half(x) · sin, the angle by position and pair of elements (the halves of a head are paired)."""

    name = "rope"
    ours = "helion_kernels:rope"
    shapes = (
        _heads(4, 32, 4096, 128, quick=True),
        _heads(1, 32, 8192, 128),
        _heads(8, 16, 2048, 64),
        _heads(4, 8, 4096, 128, quick=True),
        _heads(1, 64, 16384, 128),
        _heads(2, 3, 16, 32, cpu=True),
        _heads(1, 2, 7, 16, cpu=True),
    )
    rows: ClassVar[tuple[str, ...]] = ("x",)

    def make(self, sizes: Sizes, dtype: torch.dtype, random: Random) -> Inputs:
        seq, dim = sizes["seq"], sizes["dim"]
        frequencies = 10000.0 ** (-torch.arange(0, dim, 2, device=random.device, dtype=torch.float32) / dim)
        angles = torch.arange(seq, device=random.device, dtype=torch.float32)[:, None] * frequencies
        angles = torch.cat([angles, angles], -1)
        return {
            "x": random.normal(sizes["batch"], sizes["heads"], seq, dim, dtype=dtype),
            "cos": angles.cos().to(dtype),
            "sin": angles.sin().to(dtype),
        }

    def eager(self, **inputs: Any) -> Any:
        x = inputs["x"]
        left, right = x.chunk(2, -1)
        return x * inputs["cos"] + torch.cat([-right, left], -1) * inputs["sin"]

    def call_ours(self, function: Any, inputs: Inputs) -> Any:
        return function(inputs["x"], inputs["cos"], inputs["sin"])

    def flops(self, sizes: Sizes, pass_: Pass) -> float:
        return 3.0 * _elements(sizes)

    def bytes(self, sizes: Sizes, itemsize: int, pass_: Pass) -> float:
        return (2 * _elements(sizes) + 2 * sizes["seq"] * sizes["dim"]) * itemsize


def _elements(sizes: Sizes) -> int:
    return sizes["batch"] * sizes["heads"] * sizes["seq"] * sizes["dim"]
