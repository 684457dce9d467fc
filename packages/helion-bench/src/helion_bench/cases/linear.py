"""x @ weight.T + bias."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F

from .operation import Random
from .products import Product
from .results import Inputs, Sizes


class Linear(Product):
    """x @ weight.T + bias, the weight as torch.nn.Linear keeps it."""

    name = "linear"
    ours = "helion_kernels:linear"
    gradients = ("x", "weight", "bias")

    def make(self, sizes: Sizes, dtype: torch.dtype, random: Random) -> Inputs:
        m, k, n = sizes["m"], sizes["k"], sizes["n"]
        return {
            "x": random.normal(m, k, dtype=dtype),
            "weight": random.normal(n, k, dtype=dtype, scale=k**-0.5),
            "bias": random.normal(n, dtype=dtype),
        }

    def eager(self, **inputs: Any) -> Any:
        return F.linear(inputs["x"], inputs["weight"], inputs["bias"])

    def call_ours(self, function: Any, inputs: Inputs) -> Any:
        return function(inputs["x"], inputs["weight"], inputs["bias"])
