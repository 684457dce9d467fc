"""Escape hatches: inline assembly, lines of Triton, Triton functions; printing from the device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ._engine import run


def inline_asm_elementwise(
    asm: str, constraints: str, args: Sequence[Any], dtype: Any, is_pure: bool = True, pack: int = 1
) -> Any:
    """Assembly applied to every element (`pack` elements at a time) of `args`, which broadcast to one shape.

    `dtype`: that of the result, or a tuple of dtypes for several. GPU only: Triton's interpreter runs no assembly.
    """
    return run("inline_asm_elementwise", asm, constraints, args, dtype, is_pure, pack)


def inline_triton(source: str, args: Sequence[Any] | Mapping[str, Any], output_like: Any = None) -> Any:
    """Triton statements in place; `{0}` or `{name}` stand for `args` (device values and numbers).

    The last line is the result, of the shape and dtype of `output_like` (a tuple: several results); None means no
    result. Its lanes outside of tiles may hold anything. Raises `UnsupportedOperation` for text that does not parse.
    """
    return run("inline_triton", source, args, output_like)


def triton_kernel(fn: Any, args: Sequence[Any] | Mapping[str, Any], output_like: Any = None) -> Any:
    """Calls a function decorated with `@triton.jit` (or the source text of one) on device values and numbers.

    The jitted functions and constants that it uses come along. Results as for `inline_triton`.
    """
    return run("triton_kernel", fn, args, output_like)


def device_print(prefix: str, *values: Any) -> None:
    """Prints `prefix` and the values of every lane; `print(...)` in device code does the same."""
    run("device_print", prefix, values)
