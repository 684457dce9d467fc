"""rms_norm over the last dimension, with a weight."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch.nn import functional as F

from .operation import Random
from .results import Inputs, Sizes
from .rows import HIDDEN, RowOperation

_EPS = 1e-5


class RMSNorm(RowOperation):
    """x / sqrt(mean(x²) + eps) · weight of each row."""

    name = "rms_norm"
    ours = "helion_kernels:rms_norm"
    shapes = HIDDEN
    gradients = ("x", "weight")
    flops_per_element: ClassVar[tuple[float, float]] = (4.0, 10.0)

    def make(self, sizes: Sizes, dtype: torch.dtype, random: Random) -> Inputs:
        n = sizes["cols"]
        return {
            "x": random.normal(sizes["rows"], n, dtype=dtype),
            "weight": random.normal(n, dtype=dtype, scale=0.2, mean=1.0),
        }

    def eager(self, **inputs: Any) -> Any:
        x = inputs["x"]
        return F.rms_norm(x, x.shape[-1:], inputs["weight"], _EPS)

    def call_ours(self, function: Any, inputs: Inputs) -> Any:
        x = inputs["x"]
        return function(x, x.shape[-1:], inputs["weight"], _EPS)
