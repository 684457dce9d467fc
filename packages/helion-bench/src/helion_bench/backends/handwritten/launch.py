"""Launching a Triton kernel: on a GPU, or on CPU tensors through the interpreter as helion-core mends it."""

from __future__ import annotations

from typing import Any

import torch


def launch(kernel: Any, grid: tuple[Any, ...], out: torch.Tensor, *arguments: Any, **options: Any) -> None:
    """`kernel[grid](out, *arguments, **options)`."""
    if out.is_cuda:
        kernel[grid](out, *arguments, **options)
        return
    from helion.runtime import interpreter

    given = (out, *arguments)
    interpreter.run(kernel, grid, (*given, *(options[name] for name in kernel.arg_names[len(given) :])))
