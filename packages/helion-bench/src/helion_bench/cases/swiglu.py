"""silu(gate) · up."""

from __future__ import annotations

from typing import Any, ClassVar

from torch.nn import functional as F

from .gated import Gated


class SwiGLU(Gated):
    """silu(gate) · up, element by element (https://arxiv.org/abs/2002.05202)."""

    name = "swiglu"
    ours = "helion_kernels:swiglu"
    flops_per_element: ClassVar[tuple[float, float]] = (5.0, 12.0)

    def eager(self, **inputs: Any) -> Any:
        return F.silu(inputs["gate"]) * inputs["up"]
