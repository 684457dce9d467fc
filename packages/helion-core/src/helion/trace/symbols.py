"""Symbols for what tracing does not know: block sizes, tile offsets, device scalars, host sizes of dynamic kernels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sympy
import torch
from torch._dynamo.source import ConstantSource
from torch.fx.experimental.symbolic_shapes import DimDynamic, ShapeEnv

from .. import exc, location
from ..ir import Size

# Distinct primes make accidental equalities false; the power of two makes questions of divisibility true.
_PRIMES = (
    1009, 1013, 1019, 1021, 1031, 1033, 1039, 1049, 1051, 1061, 1063, 1069, 1087, 1091, 1093, 1097, 1103, 1109,
    1117, 1123, 1129, 1151, 1153, 1163, 1171, 1181, 1187, 1193, 1201, 1213, 1217, 1223, 1229, 1231, 1237,
)  # fmt: skip
_HINT_FACTOR = 1024


class KernelShapeEnv(ShapeEnv):
    """A ShapeEnv in which nobody learns the value of a device symbol: such questions raise instead of guessing."""

    def __init__(self, **options: Any) -> None:
        # what host code would have to read from data is refused where it is asked for
        super().__init__(allow_scalar_outputs=False, allow_dynamic_output_shape_ops=False, **options)
        self.device_symbols: set[sympy.Symbol] = set()
        self._lenient = 0
        self._sym_ints: dict[sympy.Expr, torch.SymInt] = {}

    def block_symbol(self, index: int) -> sympy.Symbol:
        """A symbol for the block size number `index`."""
        hint = _PRIMES[index % len(_PRIMES)] * _HINT_FACTOR * (1 + index // len(_PRIMES))
        source = ConstantSource(f"block_{index}")
        symbol = self.create_symbol(hint, source, dynamic_dim=DimDynamic.DYNAMIC, constraint_dim=None)
        self.device_symbols.add(symbol)
        return symbol

    def device_symbol(self) -> sympy.Symbol:
        """A symbol for an integer known only on the device."""
        symbol = self.create_unbacked_symint().node.expr
        self.device_symbols.add(symbol)
        return symbol

    def device_float_symbol(self) -> tuple[sympy.Symbol, torch.SymFloat]:
        value = self.create_unbacked_symfloat()
        self.device_symbols.add(value.node.expr)
        return value.node.expr, value

    def is_device(self, expr: Any) -> bool:
        """Whether `expr` depends on anything that is known only on the device or per config."""
        return isinstance(expr, sympy.Basic) and not self.device_symbols.isdisjoint(expr.free_symbols)

    def sym(self, size: Size) -> int | torch.SymInt:
        """`size` as the integer that Python code sees."""
        if isinstance(size, int):
            return size
        if size.is_Integer:
            return int(size)
        found = self._sym_ints.get(size)
        if found is None:
            found = self._sym_ints[size] = self.create_symintnode(size, hint=None)  # type: ignore[assignment]
        return found

    @contextmanager
    def lenient(self) -> Iterator[None]:
        """While torch's own code runs, its questions about device symbols are answered from hints, without guards."""
        self._lenient += 1
        try:
            yield
        finally:
            self._lenient -= 1

    def evaluate_expr(self, orig_expr: sympy.Basic, *args: Any, **kwargs: Any) -> Any:
        if not self.is_device(orig_expr):
            return super().evaluate_expr(orig_expr, *args, **kwargs)
        static = self._maybe_evaluate_static(orig_expr)
        if static is not None:
            return static
        fallback = kwargs.get("fallback_value")
        if fallback is not None:
            return fallback
        if self._lenient and not any(s.name.startswith("u") for s in orig_expr.free_symbols):
            with self.suppress_guards():
                return super().evaluate_expr(orig_expr, *args, **kwargs)
        raise exc.ShapeSpecializingAllocation(
            expr=str(orig_expr),
            instead="block sizes and tile offsets are chosen later: keep them symbolic, "
            "use hl.register_block_size or a fixed block_size=, or compare them in an `if`",
            location=location.here(),
        )


def expr_of(value: Any) -> Size:
    """The expression behind a Python int or torch.SymInt."""
    if isinstance(value, (torch.SymInt, torch.SymFloat, torch.SymBool)):
        expr = value.node.expr
        return int(expr) if expr.is_Integer else expr
    return value


def is_symbolic(value: Any) -> bool:
    return isinstance(value, (torch.SymInt, torch.SymFloat, torch.SymBool))
