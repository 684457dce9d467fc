"""gelu(gate) · up."""

from __future__ import annotations

from typing import Any, ClassVar

from torch.nn import functional as F

from .gated import Gated
from .results import Inputs


class GeGLU(Gated):
    """gelu(gate) · up with the tanh approximation, element by element (https://arxiv.org/abs/2002.05202)."""

    name = "geglu"
    ours = "helion_kernels:geglu"
    flops_per_element: ClassVar[tuple[float, float]] = (10.0, 20.0)

    def eager(self, **inputs: Any) -> Any:
        return F.gelu(inputs["gate"], approximate="tanh") * inputs["up"]

    def call_ours(self, function: Any, inputs: Inputs) -> Any:
        return function(inputs["gate"], inputs["up"], "tanh")
