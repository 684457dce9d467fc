"""layer_norm over the last dimension, with weight and bias."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch.nn import functional as F

from .operation import Random
from .results import Inputs, Sizes
from .rows import HIDDEN, RowOperation

_EPS = 1e-5


class LayerNorm(RowOperation):
    """(x - mean) / sqrt(var + eps) · weight + bias of each row."""

    name = "layer_norm"
    ours = "helion_kernels:layer_norm"
    shapes = HIDDEN
    gradients = ("x", "weight", "bias")
    flops_per_element: ClassVar[tuple[float, float]] = (8.0, 14.0)

    def make(self, sizes: Sizes, dtype: torch.dtype, random: Random) -> Inputs:
        n = sizes["cols"]
        return {
            "x": random.normal(sizes["rows"], n, dtype=dtype, scale=0.5, mean=-2.3),
            "weight": random.normal(n, dtype=dtype, scale=0.2, mean=1.0),
            "bias": random.normal(n, dtype=dtype),
        }

    def eager(self, **inputs: Any) -> Any:
        x = inputs["x"]
        return F.layer_norm(x, x.shape[-1:], inputs["weight"], inputs["bias"], _EPS)

    def call_ours(self, function: Any, inputs: Inputs) -> Any:
        x = inputs["x"]
        return function(x, x.shape[-1:], inputs["weight"], inputs["bias"], _EPS)
