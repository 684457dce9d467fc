"""What operations on the rows of a matrix share: sizes and traffic."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from .operation import Operation, Pass, Random, Shape
from .results import Inputs, Sizes


def rows(m: int, n: int, *, quick: bool = False, cpu: bool = False) -> Shape:
    """`m` rows of `n` elements."""
    return Shape({"rows": m, "cols": n}, quick=quick, cpu=cpu)


class RowOperation(Operation):
    """An operation that maps each row of `x` to a row of the same length; bound by memory.

    `flops_per_element`: forward and backward.
    """

    flops_per_element: ClassVar[tuple[float, float]]

    def make(self, sizes: Sizes, dtype: torch.dtype, random: Random) -> Inputs:
        return {"x": random.normal(sizes["rows"], sizes["cols"], dtype=dtype)}

    def call_ours(self, function: Any, inputs: Inputs) -> Any:
        return function(inputs["x"], -1)

    def flops(self, sizes: Sizes, pass_: Pass) -> float:
        return self.flops_per_element[pass_ == "bwd"] * sizes["rows"] * sizes["cols"]

    def bytes(self, sizes: Sizes, itemsize: int, pass_: Pass) -> float:
        tensors = 2 if pass_ == "fwd" else 3  # backward: one saved tensor and the incoming gradient, and the result
        return tensors * sizes["rows"] * sizes["cols"] * itemsize


HIDDEN = (
    rows(8192, 4096, quick=True),
    rows(8192, 5120),
    rows(8192, 8192, quick=True),
    rows(4096, 12288),
    rows(32768, 2048),
    rows(64, 7168),
    rows(16, 128, cpu=True),
    rows(7, 100, cpu=True),
)
"""Tokens and hidden sizes of well-known models."""
