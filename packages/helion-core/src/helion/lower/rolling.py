"""Rolling: a reduction over a whole dimension as loops over parts of it."""

from __future__ import annotations

from ..ir import Program, Range


def rollable(program: Program) -> list[Range]:
    """Whole dimensions whose reductions can become loops: the entries of `reduction_loops`."""
    return []
