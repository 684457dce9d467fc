"""x @ weight."""

from __future__ import annotations

from typing import Any

import torch

from .products import Product
from .results import Inputs


class Matmul(Product):
    """x @ weight."""

    name = "matmul"
    ours = "helion_kernels:matmul"

    def eager(self, **inputs: Any) -> Any:
        return torch.mm(inputs["x"], inputs["weight"])

    def call_ours(self, function: Any, inputs: Inputs) -> Any:
        return function(inputs["x"], inputs["weight"])
