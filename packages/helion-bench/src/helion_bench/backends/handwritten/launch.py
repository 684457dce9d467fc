"""Launching a Triton kernel."""

from __future__ import annotations

from typing import Any


def launch(kernel: Any, grid: tuple[int, ...], *arguments: Any, **options: Any) -> None:
    """`kernel[grid](…)`: Triton's own annotations know neither its options nor what its kernels take."""
    kernel[grid](*arguments, **options)
