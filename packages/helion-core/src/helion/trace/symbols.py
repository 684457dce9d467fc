"""Symbols for what tracing does not know: block sizes, tile offsets, device scalars, host sizes of dynamic kernels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sympy
import torch
from torch._guards import SLoc, Source
from torch.fx.experimental.symbolic_shapes import DimDynamic, ShapeEnv
from torch.utils._sympy.numbers import int_oo
from torch.utils._sympy.value_ranges import ValueRanges

from .. import exc, location
from ..ir import Size
from .fakes import Named, making_symbols

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
        with making_symbols():
            super().__init__(allow_scalar_outputs=False, allow_dynamic_output_shape_ops=False, **options)
        self.device_symbols: set[sympy.Symbol] = set()
        self.size_symbols: set[sympy.Symbol] = set()  # sizes and strides of tensors in dynamic kernels
        self._at_least_two: dict[sympy.Symbol, sympy.Expr] = {}
        self._large = 0
        self._lenient = 0
        self._sym_ints: dict[sympy.Expr, torch.SymInt] = {}

    def block_symbol(self, index: int) -> sympy.Symbol:
        """A symbol for the block size number `index`."""
        hint = _PRIMES[index % len(_PRIMES)] * _HINT_FACTOR * (1 + index // len(_PRIMES))
        source = Named(f"block_{index}")
        symbol = self.create_symbol(hint, source, dynamic_dim=DimDynamic.DYNAMIC, constraint_dim=None)
        self.device_symbols.add(symbol)
        return symbol

    def size_symbol(self, hint: int, source: Source, is_size: bool) -> sympy.Symbol:
        """A symbol for a size (or stride) of an argument, which may be any number from 0 on."""
        symbol: Any = self.create_symbol(
            hint, source, dynamic_dim=DimDynamic.DYNAMIC, constraint_dim=None, positive=None,
            do_not_specialize_zero_one=True,
        )  # fmt: skip
        self.var_to_range[symbol] = ValueRanges(0, int_oo)
        self.size_symbols.add(symbol)
        if is_size:
            self._at_least_two[symbol] = sympy.Symbol(f"{symbol.name}_from_2", integer=True, nonnegative=True) + 2
        return symbol

    @contextmanager
    def taking_sizes_for_large(self) -> Iterator[None]:
        """While torch's own code asks whether sizes are 0 or 1 and it makes no difference, the answer is no."""
        self._large += 1
        try:
            yield
        finally:
            self._large -= 1

    def same(self, a: Size, b: Size) -> bool:
        """Whether two sizes of the host are equal in this call, which then holds for all calls of this trace."""
        if not self.size_symbols:
            return False
        symbols = {s for e in (a, b) if isinstance(e, sympy.Expr) for s in e.free_symbols}
        if self.size_symbols.isdisjoint(symbols) or not self.device_symbols.isdisjoint(symbols):
            return False
        a, b = (self.replace(e) if isinstance(e, sympy.Expr) else e for e in (a, b))
        return a == b or bool(self.evaluate_expr(sympy.Eq(a, b)))

    def asks(self, condition: Any) -> bool:
        """The truth of a condition on host numbers, which then holds for all calls of this trace."""
        return bool(condition if isinstance(condition, bool) else self.evaluate_expr(condition))

    def device_symbol(self) -> sympy.Symbol:
        """A symbol for an integer known only on the device."""
        symbol = self.create_unbacked_symint().node.expr
        self.device_symbols.add(symbol)
        return symbol

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

    def _get_stack_summary(self, is_debug: bool = False, framework_loc: str | None = None) -> tuple[SLoc, str]:
        # where in torch a guard came from; finding it out would import torch._dynamo and torch.export, and takes long
        return SLoc(framework_loc, None), ""

    def evaluate_expr(self, orig_expr: sympy.Basic, *args: Any, **kwargs: Any) -> Any:
        if not self.is_device(orig_expr):
            if self._large:
                large = _decided(orig_expr.xreplace(self._at_least_two))
                if large is not None and large == self._by_hints(orig_expr):
                    return sympy.true if large else sympy.false
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

    def _by_hints(self, expr: sympy.Basic) -> bool | None:
        found = expr.xreplace({symbol: self.hint_of(symbol) for symbol in expr.free_symbols})  # type: ignore[misc]
        return bool(found) if found in (sympy.true, sympy.false) else None

    def hint_of(self, symbol: sympy.Symbol) -> Any:
        hints = getattr(self, "backed_var_to_val", None) or self.var_to_val
        return hints[symbol]


def _decided(condition: sympy.Basic) -> bool | None:
    """The truth of a condition, where it follows from what is known of its symbols."""
    if condition in (sympy.true, sympy.false):
        return bool(condition)
    if isinstance(condition, (sympy.And, sympy.Or)):
        parts = [_decided(part) for part in condition.args]
        absorbing = isinstance(condition, sympy.Or)
        if absorbing in parts:
            return absorbing
        return None if None in parts else not absorbing
    if isinstance(condition, sympy.Not):
        inner = _decided(condition.args[0])
        return None if inner is None else not inner
    if not isinstance(condition, sympy.core.relational.Relational):
        return None
    difference = sympy.expand(condition.lhs - condition.rhs)
    match condition:
        case sympy.Eq():
            return None if difference.is_zero is None else bool(difference.is_zero)
        case sympy.Ne():
            return None if difference.is_zero is None else not difference.is_zero
        case sympy.Gt():
            return difference.is_positive  # type: ignore[no-any-return]
        case sympy.Ge():
            return difference.is_nonnegative  # type: ignore[no-any-return]
        case sympy.Lt():
            return difference.is_negative  # type: ignore[no-any-return]
        case sympy.Le():
            return difference.is_nonpositive  # type: ignore[no-any-return]
    return None


def expr_of(value: Any) -> Size:
    """The expression behind a Python int or torch.SymInt."""
    if isinstance(value, (torch.SymInt, torch.SymFloat, torch.SymBool)):
        expr = value.node.expr
        return int(expr) if expr.is_Integer else expr
    return value


def is_symbolic(value: Any) -> bool:
    return isinstance(value, (torch.SymInt, torch.SymFloat, torch.SymBool))
