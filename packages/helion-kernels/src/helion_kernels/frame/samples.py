"""Calls to tune, compile and measure an operation with: every module lists them.

A module has `SHAPES`, typical sizes, and `calls(shape, dtype, device)`, which makes the calls for one of them: every
kernel of the module, with the arguments that users mostly give.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch.utils._pytree import tree_leaves

import helion_kernels
from helion import exc

Shape = tuple[int, ...]


class Call(NamedTuple):
    """`function(*args, **kwargs)`, and its gradients for the arguments that require them."""

    name: str
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = {}

    def run(self) -> Any:
        """The results, then the gradients for a normal sample of theirs, the same in every run.

        Not for ones: those of a softmax are 0 then, but for rounding, in which any two configs differ.
        """
        result = self.function(*self.args, **self.kwargs)
        inputs = [t for t in _tensors((self.args, dict(self.kwargs))) if t.requires_grad]
        outputs = [t for t in _tensors(result) if t.requires_grad]
        if not inputs or not outputs:
            return result, ()
        return result, torch.autograd.grad(outputs, inputs, [_given(t) for t in outputs], allow_unused=True)


def _given(output: torch.Tensor) -> torch.Tensor:
    """Laid out as `output` is, which decides what backward kernels are specialised to."""
    generator = torch.Generator(output.device).manual_seed(0)
    return torch.empty_like(output).normal_(generator=generator)


def _tensors(value: Any) -> list[torch.Tensor]:
    return [t for t in tree_leaves(value) if isinstance(t, torch.Tensor)]


def randn(size: Shape, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """A normal sample that requires gradients."""
    return torch.randn(size, dtype=dtype, device=device, requires_grad=True)


def module_of(op: str) -> ModuleType:
    """The module of the operation `op`. Raises `InvalidArgument` for a name that is none."""
    names = helion_kernels.OPS
    if op not in names:
        raise exc.InvalidArgument(what=f"the operation {op!r}", instead=f"there are {', '.join(names)}")
    return importlib.import_module(f"helion_kernels.{names[op]}")
