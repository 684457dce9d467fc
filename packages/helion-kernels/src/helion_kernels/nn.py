"""Modules over the functions of this package, and `swap`, which puts them into a model that exists.

Classes that torch has derive from torch's: the same arguments, attributes and state_dict, another `forward`.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from torch import Tensor

from . import (
    attention,
    cross_entropy,
    dropout,
    layer_norm,
    linear,
    linear_cross_entropy,
    log_softmax,
    rms_norm,
    softmax,
)
from .swiglu import swiglu

# --- as torch has them


class Linear(torch.nn.Linear):
    def forward(self, input: Tensor) -> Tensor:
        return linear(input, self.weight, self.bias)


class LayerNorm(torch.nn.LayerNorm):
    def forward(self, input: Tensor) -> Tensor:
        return layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)


class RMSNorm(torch.nn.RMSNorm):
    def forward(self, x: Tensor, residual: Tensor | None = None) -> Any:
        """With a residual: the pair of the norm of x + residual, and x + residual."""
        return rms_norm(x, self.normalized_shape, self.weight, self.eps, residual=residual)


class Softmax(torch.nn.Softmax):
    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) if self.dim is None else softmax(input, self.dim)


class LogSoftmax(torch.nn.LogSoftmax):
    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) if self.dim is None else log_softmax(input, self.dim)


class Dropout(torch.nn.Dropout):
    def forward(self, input: Tensor) -> Tensor:
        return dropout(input, self.p, self.training, self.inplace)


class CrossEntropyLoss(torch.nn.CrossEntropyLoss):
    """torch's, with the coefficient of a z-loss."""

    z_loss: float = 0.0

    def __init__(self, *args: Any, z_loss: float = 0.0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.z_loss = z_loss

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return cross_entropy(
            input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction,
            label_smoothing=self.label_smoothing, z_loss=self.z_loss,
        )  # fmt: skip


# --- further ones


class LinearCrossEntropyLoss(torch.nn.Linear):
    """A linear layer to the classes and the loss of its logits, which do not exist all at once where they are many.

    The state_dict is that of `torch.nn.Linear(in_features, classes)`. Keywords are those of `linear_cross_entropy`.
    """

    def __init__(self, in_features: int, classes: int, bias: bool = False, **options: Any) -> None:
        placed = {name: options.pop(name) for name in ("device", "dtype") if name in options}
        super().__init__(in_features, classes, bias, **placed)
        self.options = options

    def forward(self, input: Tensor, target: Tensor) -> Tensor:  # type: ignore[override]
        return linear_cross_entropy(input, self.weight, target, self.bias, **self.options)


class SwiGLU(torch.nn.Module):
    """down_proj(silu(gate_proj(x)) * up_proj(x)): the feed-forward layer of Llama, with its names of parameters."""

    def __init__(self, in_features: int, hidden_features: int, bias: bool = False, **placed: Any) -> None:
        super().__init__()
        self.gate_proj = Linear(in_features, hidden_features, bias, **placed)
        self.up_proj = Linear(in_features, hidden_features, bias, **placed)
        self.down_proj = Linear(hidden_features, in_features, bias, **placed)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(swiglu(self.gate_proj(x), self.up_proj(x)))


class Attention(torch.nn.Module):
    """Scaled dot product attention of queries, keys and values, as a module; it has no parameters.

    Keywords are those of `helion_kernels.attention`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.options = options

    def forward(self, query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None) -> Any:
        return attention(query, key, value, attn_mask, **self.options)


# --- into a model that exists


def _same(cls: type[torch.nn.Module]) -> Callable[[torch.nn.Module], torch.nn.Module]:
    """Makes a module of torch's class one of `cls`: parameters, buffers and hooks are shared, not copied."""

    def converted(old: torch.nn.Module) -> torch.nn.Module:
        new = cls.__new__(cls)
        new.__dict__.update(old.__dict__)
        return new

    return converted


Conversion = Callable[[torch.nn.Module], torch.nn.Module]

CONVERSIONS: Mapping[type[torch.nn.Module], Conversion] = {
    cls.__mro__[1]: _same(cls) for cls in (Linear, LayerNorm, RMSNorm, Softmax, LogSoftmax, Dropout, CrossEntropyLoss)
}  # fmt: skip
"""What `swap` replaces: modules of exactly these classes, by what the functions return."""


def swap(
    model: torch.nn.Module, conversions: Mapping[type[torch.nn.Module], Conversion] = CONVERSIONS,
    skip: Collection[str] = (),
) -> dict[str, torch.nn.Module]:  # fmt: skip
    """Puts modules of this package in place of submodules of `model`, and returns what was there, by name.

    Only submodules whose class is exactly a key of `conversions` are replaced, so that the `forward` of a
    subclass is never lost.
    skip: names to leave, with wildcards (`lm_head`, `encoder.*`). Parameters stay the same objects: optimizers keep
    working, and the state_dict does not change. `restore(model, swapped)` undoes it.
    """
    swapped: dict[str, torch.nn.Module] = {}
    made: dict[int, torch.nn.Module] = {}  # a module that the model holds twice stays one
    for name, old in list(model.named_modules(remove_duplicate=False)):
        if not name or type(old) not in conversions or any(fnmatch.fnmatchcase(name, pattern) for pattern in skip):
            continue
        if id(old) not in made:
            made[id(old)] = conversions[type(old)](old)
        _put(model, name, made[id(old)])
        swapped[name] = old
    return swapped


def restore(model: torch.nn.Module, swapped: Mapping[str, torch.nn.Module]) -> None:
    """Puts back what `swap` returned, in the mode (training or not) that the model is in now."""
    for name, old in swapped.items():
        old.train(model.get_submodule(name).training)
        _put(model, name, old)


def _put(model: torch.nn.Module, name: str, module: torch.nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, module)
