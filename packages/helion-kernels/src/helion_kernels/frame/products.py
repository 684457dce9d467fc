"""Kernels with float32 matrix products: in TF32 where torch's own setting allows it, else in full precision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch

from . import choice
from .kernel import kernel

if TYPE_CHECKING:
    from helion import Kernel


def tf32_allowed() -> bool:
    """What `torch.set_float32_matmul_precision` or `torch.backends.cuda.matmul.fp32_precision` say."""
    return torch.backends.cuda.matmul.fp32_precision == "tf32"


def product_kernel(
    op: str, *, prefer: choice.Preference | None = None, prefer_on: str = ""
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """As `kernel(op)`, for kernels with products of the first argument. `prefer`: where tensor cores multiply."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        fast = kernel(op, prefer=prefer, prefer_on=prefer_on, dot_precision="tf32")(function)
        exact = kernel(op, dot_precision="ieee")(function)

        def chosen(args: Sequence[Any]) -> Kernel:
            return exact if args[0].dtype is torch.float32 and not tf32_allowed() else fast

        def run(*args: Any) -> Any:
            return chosen(args)(*args)

        run.kernels = (fast, exact)  # type: ignore[attr-defined]
        run.bind = lambda args: chosen(args).bind(args)  # type: ignore[attr-defined]
        return run

    return decorate
