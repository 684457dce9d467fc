"""log_softmax over the last dimension."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from .rows import RowOperation, rows


class LogSoftmax(RowOperation):
    """x - max - log(sum(exp(x - max))) of each row."""

    name = "log_softmax"
    ours = "helion_kernels:log_softmax"
    shapes = (
        rows(8192, 8192, quick=True),
        rows(4096, 32000),
        rows(4096, 50257),
        rows(2048, 128256),
        rows(32768, 1024),
        rows(16, 128, cpu=True),
        rows(7, 100, cpu=True),
    )
    flops_per_element: ClassVar[tuple[float, float]] = (4.0, 4.0)

    def eager(self, **inputs: Any) -> Any:
        return torch.log_softmax(inputs["x"], -1)
