"""Arithmetic on the caller's numbers alone: done by Python on the host, with Python's rules and width.

On the device, integers wrap at 32 bits and quotients are rounded towards zero. A computed number becomes an argument of
the kernel of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sympy

from ..emit.expressions import Printer
from ..ir import HostScalar

if TYPE_CHECKING:
    from .state import TraceState


def hosted(state: TraceState, expr: Any) -> Any:
    """`expr` with a symbol of its own for every part that the host can compute."""
    if not isinstance(expr, sympy.Basic) or not expr.args:
        return expr
    if isinstance(expr, sympy.Expr) and expr.free_symbols and expr.free_symbols <= state.host_scalars.keys():
        return _computed(state, expr)
    parts = [hosted(state, part) for part in expr.args]
    return expr if all(a is b for a, b in zip(parts, expr.args, strict=True)) else expr.func(*parts)


def _computed(state: TraceState, expr: sympy.Expr) -> sympy.Symbol:
    source = Printer(lambda symbol: state.host_scalars[symbol].source, device=False)(expr)
    for symbol, scalar in state.host_scalars.items():
        if scalar.source == source:
            return symbol
    name = "_".join(sorted({state.host_scalars[symbol].name for symbol in expr.free_symbols}))  # type: ignore[index]
    is_float = not _is_integer(state, expr)
    symbol = sympy.Symbol(f"h{len(state.host_scalars)}", real=True, integer=None if is_float else True)
    scalar = HostScalar(f"{name}_computed", source, symbol, is_float=is_float)
    state.host_scalars[symbol] = scalar
    state.symbols[symbol] = scalar
    return symbol


_FLOATS = ("ToFloat", "IntTrueDiv", "FloatTrueDiv", "FloatPow", "RoundDecimal")
_INTEGERS = ("TruncToInt", "FloorToInt", "CeilToInt", "RoundToInt")


def _is_integer(state: TraceState, expr: Any) -> bool:
    """Whether Python would compute an int."""
    if isinstance(expr, sympy.Symbol):
        return not state.host_scalars[expr].is_float
    name = type(expr).__name__
    if not expr.args or name in _FLOATS or name in _INTEGERS:
        return name in _INTEGERS or isinstance(expr, sympy.Integer)
    return all(_is_integer(state, part) for part in expr.args)
