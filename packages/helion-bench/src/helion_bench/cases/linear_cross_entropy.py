"""Mean cross entropy of x @ weight.T and class indices: the head of a language model with its loss."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch.nn import functional as F

from .operation import Operation, Pass, Random, Shape
from .results import Inputs, Sizes


def _head(rows: int, hidden: int, vocabulary: int, *, quick: bool = False, cpu: bool = False) -> Shape:
    return Shape({"rows": rows, "hidden": hidden, "vocab": vocabulary}, quick=quick, cpu=cpu)


class LinearCrossEntropy(Operation):
    """mean over rows of logsumexp(x @ weight.T) - (x @ weight.T)[target]."""

    name = "linear_cross_entropy"
    ours = "helion_kernels:linear_cross_entropy"
    shapes = (
        _head(4096, 4096, 32000, quick=True),
        _head(2048, 4096, 128256),
        _head(8192, 2048, 50257),
        _head(4096, 3584, 152064),
        _head(1024, 8192, 128256),
        _head(16, 32, 128, cpu=True),
        _head(7, 24, 100, cpu=True),
    )
    dtypes = ("bfloat16", "float16")
    gradients = ("x", "weight")
    rows: ClassVar[tuple[str, ...]] = ("x", "target")
    parts = "mean"
    passes: ClassVar[tuple[Pass, ...]] = ("fwd", "fwd+bwd")  # who fuses it computes the gradients in the forward pass

    def make(self, sizes: Sizes, dtype: torch.dtype, random: Random) -> Inputs:
        rows, hidden, vocabulary = sizes["rows"], sizes["hidden"], sizes["vocab"]
        return {
            "x": random.normal(rows, hidden, dtype=dtype),
            "weight": random.normal(vocabulary, hidden, dtype=dtype, scale=hidden**-0.5),
            "target": random.integers(0, vocabulary, rows),
        }

    def eager(self, **inputs: Any) -> Any:
        return F.cross_entropy(F.linear(inputs["x"], inputs["weight"]), inputs["target"])

    def call_ours(self, function: Any, inputs: Inputs) -> Any:
        return function(inputs["x"], inputs["weight"], inputs["target"])

    def largest(self, sizes: Sizes, inputs: Inputs) -> int:
        return 4 * sizes["rows"] * sizes["vocab"]  # logits, their softmax, and the gradients of both

    def flops(self, sizes: Sizes, pass_: Pass) -> float:
        product = 2.0 * sizes["rows"] * sizes["hidden"] * sizes["vocab"]
        return product if pass_ == "fwd" else 3 * product

    def bytes(self, sizes: Sizes, itemsize: int, pass_: Pass) -> float:
        rows, hidden, vocabulary = sizes["rows"], sizes["hidden"], sizes["vocab"]
        operands = (rows + vocabulary) * hidden * itemsize
        return operands + 8 * rows if pass_ == "fwd" else 2 * operands + 8 * rows
