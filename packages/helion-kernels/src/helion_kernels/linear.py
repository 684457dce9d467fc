"""Linear layers: activation(x @ weight^T + bias) + residual. The kernels are those of `matmul`."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from .frame import Call
from .frame.samples import Shape, randn
from .matmul import SHAPES as SHAPES
from .matmul import SMALL as SMALL
from .matmul import matmul


def linear(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None, *, activation: str | None = None,
    residual: torch.Tensor | None = None,
) -> torch.Tensor:  # fmt: skip
    """As `torch.nn.functional.linear`, then an activation, then a residual is added.

    x [..., k], weight [n, k], bias [n], residual [..., n]; float32, float16 or bfloat16. activation: "relu", "gelu",
    "gelu_tanh" or "silu". Raises `InvalidArgument` for another activation.
    """
    return matmul(x, weight.t(), bias=bias, activation=activation, residual=residual)


# --- samples


def calls(shape: Shape, dtype: torch.dtype, device: torch.device) -> Iterator[Call]:
    """shape: rows, features of the result, features of x."""
    m, n, k = shape
    x, weight, bias = randn((m, k), dtype, device), randn((n, k), dtype, device), randn((n,), dtype, device)
    yield Call("silu", linear, (x, weight, bias), {"activation": "silu"})
