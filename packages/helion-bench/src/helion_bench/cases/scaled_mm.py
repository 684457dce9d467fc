"""Product of float8 matrices, each scaled as a whole."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from .operation import Pass, Random
from .products import Product, product
from .results import Inputs, Sizes


class ScaledMM(Product):
    """(x · scale_x) @ (weight · scale_weight) in bfloat16, of float8 values; the weight is column-major."""

    name = "scaled_mm"
    ours = "helion_kernels:scaled_mm"
    shapes = (
        product(4096, 4096, 4096, quick=True),
        product(8192, 8192, 8192),
        product(16, 8192, 8192, quick=True),
        product(8192, 4096, 14336),
        product(4096, 14336, 4096),
        product(32, 64, 48, cpu=True),
        product(16, 32, 16, cpu=True),
    )
    dtypes = ("float8_e4m3fn",)
    passes: ClassVar[tuple[Pass, ...]] = ("fwd",)
    gradients = ()

    def make(self, sizes: Sizes, dtype: torch.dtype, random: Random) -> Inputs:
        m, k, n = sizes["m"], sizes["k"], sizes["n"]
        return {
            "x": random.normal(m, k, dtype=dtype),
            "weight": random.normal(n, k, dtype=dtype).t(),
            "scale_x": torch.full((), 0.5, device=random.device),
            "scale_weight": torch.full((), k**-0.5, device=random.device),
        }

    def eager(self, **inputs: Any) -> Any:
        """The formula; in bfloat16, where float8 values are exact, unless the inputs are float64."""
        x, weight = inputs["x"], inputs["weight"]
        if x.dtype is not torch.float64:
            x, weight = x.bfloat16(), weight.bfloat16()
        scale = inputs["scale_x"].double() * inputs["scale_weight"].double()
        return (x @ weight) * scale.to(x.dtype)

    def call_ours(self, function: Any, inputs: Inputs) -> Any:
        scales = inputs["scale_x"], inputs["scale_weight"]
        return function(inputs["x"], inputs["weight"], *scales, out_dtype=torch.bfloat16, use_fast_accum=True)

    def bytes(self, sizes: Sizes, itemsize: int, pass_: Pass) -> float:
        m, k, n = sizes["m"], sizes["k"], sizes["n"]
        return (m * k + k * n) * itemsize + 2 * m * n
