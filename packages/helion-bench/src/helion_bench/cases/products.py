"""What matrix products share: sizes, floating-point operations, traffic."""

from __future__ import annotations

import torch

from .operation import Operation, Pass, Random, Shape
from .results import Inputs, Sizes


def product(m: int, k: int, n: int, *, quick: bool = False, cpu: bool = False) -> Shape:
    """[m, k] times [k, n]."""
    return Shape({"m": m, "k": k, "n": n}, quick=quick, cpu=cpu)


MODELS = (
    product(4096, 4096, 4096, quick=True),
    product(8192, 8192, 8192),
    product(16, 8192, 8192, quick=True),
    product(8192, 4096, 14336),
    product(4096, 14336, 4096),
    product(2048, 5120, 5120),
    product(32, 64, 48, cpu=True),
    product(7, 40, 24, cpu=True),
)
"""A square, a decoding step, and the layers of well-known models."""


class Product(Operation):
    """[m, k] times [k, n]; the operands are `x` and `weight`."""

    shapes = MODELS
    dtypes = ("bfloat16", "float16")
    gradients = ("x", "weight")

    def make(self, sizes: Sizes, dtype: torch.dtype, random: Random) -> Inputs:
        m, k, n = sizes["m"], sizes["k"], sizes["n"]
        return {
            "x": random.normal(m, k, dtype=dtype),
            "weight": random.normal(k, n, dtype=dtype, scale=k**-0.5),
        }

    def flops(self, sizes: Sizes, pass_: Pass) -> float:
        forward = 2.0 * sizes["m"] * sizes["k"] * sizes["n"]
        return forward if pass_ == "fwd" else 2 * forward

    def bytes(self, sizes: Sizes, itemsize: int, pass_: Pass) -> float:
        m, k, n = sizes["m"], sizes["k"], sizes["n"]
        operands = m * k + k * n
        return (operands + m * n if pass_ == "fwd" else 2 * operands + m * n) * itemsize
