"""What passes between operations, their references and those who judge: inputs, gradients, results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

Sizes = Mapping[str, int]
Inputs = dict[str, Any]
Gradient = tuple[torch.Tensor, ...] | None
"""One tensor an output, for a backward pass."""


@dataclass(frozen=True)
class Results:
    """What an implementation computed: its outputs, and the gradients of the inputs that have one, by name."""

    outputs: tuple[torch.Tensor, ...]
    gradients: Mapping[str, torch.Tensor] = field(default_factory=dict)

    def named(self) -> dict[str, torch.Tensor]:
        """All of it by a name to show."""
        single = len(self.outputs) == 1
        outputs = {"output" if single else f"output {k}": t for k, t in enumerate(self.outputs)}
        return outputs | {f"gradient of {name}": t for name, t in self.gradients.items()}
