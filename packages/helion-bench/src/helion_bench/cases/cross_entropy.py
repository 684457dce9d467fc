"""Mean cross entropy of logits and class indices."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch.nn import functional as F

from .operation import Operation, Pass, Random, Shape
from .results import Inputs, Sizes


def _logits(rows: int, vocabulary: int, *, quick: bool = False, cpu: bool = False) -> Shape:
    return Shape({"rows": rows, "vocab": vocabulary}, quick=quick, cpu=cpu)


class CrossEntropy(Operation):
    """mean over rows of logsumexp(x) - x[target]."""

    name = "cross_entropy"
    ours = "helion_kernels:cross_entropy"
    shapes = (
        _logits(8192, 32000, quick=True),
        _logits(4096, 128256, quick=True),
        _logits(8192, 50257),
        _logits(2048, 151936),
        _logits(16384, 32768),
        _logits(16, 128, cpu=True),
        _logits(7, 100, cpu=True),
    )
    rows: ClassVar[tuple[str, ...]] = ("x", "target")
    parts = "mean"

    def make(self, sizes: Sizes, dtype: torch.dtype, random: Random) -> Inputs:
        rows, vocabulary = sizes["rows"], sizes["vocab"]
        return {
            "x": random.normal(rows, vocabulary, dtype=dtype),
            "target": random.integers(0, vocabulary, rows),
        }

    def eager(self, **inputs: Any) -> Any:
        return F.cross_entropy(inputs["x"], inputs["target"])

    def call_ours(self, function: Any, inputs: Inputs) -> Any:
        return function(inputs["x"], inputs["target"])

    def flops(self, sizes: Sizes, pass_: Pass) -> float:
        return 4.0 * sizes["rows"] * sizes["vocab"]

    def bytes(self, sizes: Sizes, itemsize: int, pass_: Pass) -> float:
        logits = sizes["rows"] * sizes["vocab"] * itemsize
        return logits + 8 * sizes["rows"] if pass_ == "fwd" else 2 * logits + 8 * sizes["rows"]
