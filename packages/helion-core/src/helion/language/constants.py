"""Compile-time constants: `hl.constexpr` parameters and `hl.specialize`."""

from __future__ import annotations

from typing import Any

from ._engine import require


class constexpr:
    """Annotation of a kernel parameter whose value is a compile-time constant: `def f(x, causal: hl.constexpr)`.

    The value becomes part of the specialisation key. `hl.constexpr[int]` is accepted too.
    """

    def __class_getitem__(cls, item: Any) -> type[constexpr]:
        return cls


def specialize(value: Any) -> Any:
    """Bakes a size or stride (or a list of them) into the compiled code; returns it as plain ints. Host code only."""
    return require("hl.specialize").specialize(value)
