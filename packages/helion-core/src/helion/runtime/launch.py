"""Launching: the host function with its launcher, on a GPU or in the interpreter."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from .. import exc
from .load import load_kernel

if TYPE_CHECKING:
    from ..emit.module import Generated


def host_callable(generated: Generated, device: torch.device) -> Callable[..., Any]:
    """The user's host code with the launch in it, over the user's own globals and closure."""
    from ..emit.wrapper import KERNEL, LAUNCH, TORCH
    from ..frontend.build import compile_like

    kernel = load_kernel(generated.kernel_source, generated.kernel_name)
    function = compile_like(generated.host, generated.source, {})
    launcher = _interpreted(generated) if device.type == "cpu" else _compiled(generated)
    function.__kwdefaults__ = {KERNEL: kernel, LAUNCH: launcher, TORCH: torch}
    return function


def _interpreted(generated: Generated) -> Callable[..., None]:
    def launch(kernel: Any, grid: tuple[int, ...], *args: Any, **options: Any) -> None:
        from triton.runtime.errors import InterpreterError

        from . import interpreter

        try:
            interpreter.run(kernel, grid, args)
        except InterpreterError as error:
            raise exc.KernelRunFailed(
                kernel=generated.program.name, config=generated.config, reason=str(error)
            ) from error

    return launch


def _compiled(generated: Generated) -> Callable[..., None]:
    def launch(kernel: Any, grid: tuple[int, ...], *args: Any, **options: Any) -> None:
        if 0 not in grid:
            kernel[grid](*args, **options)

    return launch
