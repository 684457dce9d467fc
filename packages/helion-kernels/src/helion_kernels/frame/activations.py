"""Activations fused into products, and their derivatives: by name, for kernels (inlined) and for torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from helion import exc

NAMES = ("none", "relu", "gelu", "gelu_tanh", "silu")

_TORCH: dict[str, Callable[[Any], Any]] = {
    "none": lambda z: z,
    "relu": functional.relu,
    "gelu": functional.gelu,
    "gelu_tanh": lambda z: functional.gelu(z, approximate="tanh"),
    "silu": functional.silu,
}


def checked(activation: str | None) -> str:
    """The name of an activation. Raises `InvalidArgument`."""
    name = activation or "none"
    if name not in NAMES:
        raise exc.InvalidArgument(what=f"activation={activation!r}", instead=f"there are {', '.join(NAMES)}")
    return name


def by_torch(z: torch.Tensor, activation: str) -> torch.Tensor:
    return _TORCH[activation](z)


def activated(z: Any, activation: str) -> Any:
    """Of float32 values in a kernel."""
    if activation == "relu":
        return torch.relu(z)
    if activation == "gelu":
        return 0.5 * z * (1 + torch.erf(z * math.sqrt(0.5)))
    if activation == "gelu_tanh":
        return z * torch.sigmoid(2 * _tanh_argument(z))
    if activation == "silu":
        return z * torch.sigmoid(z)
    return z


def derivative(z: Any, activation: str) -> Any:
    """Of the activation at float32 values in a kernel."""
    if activation == "relu":
        return torch.where(z > 0, 1.0, torch.where(z == z, 0.0, z))
    if activation == "gelu":
        density = torch.exp(-0.5 * z * z) * (1 / math.sqrt(2 * math.pi))
        return 0.5 * (1 + torch.erf(z * math.sqrt(0.5))) + z * density
    if activation == "gelu_tanh":
        s = torch.sigmoid(2 * _tanh_argument(z))
        slope = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * z * z)
        return s + 2 * z * s * (1 - s) * slope
    if activation == "silu":
        s = torch.sigmoid(z)
        return s * (1 + z * (1 - s))
    return torch.ones_like(z)


def _tanh_argument(z: Any) -> Any:
    """u of gelu(z) = z / 2 * (1 + tanh(u)) = z * sigmoid(2 u) (Hendrycks and Gimpel, 2016)."""
    return math.sqrt(2 / math.pi) * (z + 0.044715 * z * z * z)
