"""What the gated activations share."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from .operation import Random
from .results import Inputs, Sizes
from .rows import RowOperation, rows

INTERMEDIATE = (
    rows(8192, 14336, quick=True),
    rows(8192, 11008),
    rows(4096, 28672),
    rows(16384, 5632),
    rows(2048, 13824),
    rows(16, 128, cpu=True),
    rows(7, 100, cpu=True),
)
"""Tokens and intermediate sizes of well-known models."""


class Gated(RowOperation):
    """activation(gate) · up, element by element."""

    shapes = INTERMEDIATE
    gradients = ("gate", "up")
    rows: ClassVar[tuple[str, ...]] = ("gate", "up")

    def make(self, sizes: Sizes, dtype: torch.dtype, random: Random) -> Inputs:
        m, n = sizes["rows"], sizes["cols"]
        return {"gate": random.normal(m, n, dtype=dtype), "up": random.normal(m, n, dtype=dtype)}

    def call_ours(self, function: Any, inputs: Inputs) -> Any:
        return function(inputs["gate"], inputs["up"])

    def bytes(self, sizes: Sizes, itemsize: int, pass_: str) -> float:
        tensors = 3 if pass_ == "fwd" else 5
        return tensors * sizes["rows"] * sizes["cols"] * itemsize
