"""Size expressions as text, for the kernel and for the host function."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence

import sympy

from ..ir import Size

_FUNCTIONS = {
    "CleanDiv": "({0} // {1})", "IntTrueDiv": "({0} / {1})", "FloatTrueDiv": "({0} / {1})",
    "BitwiseFn_bitwise_and": "({0} & {1})", "BitwiseFn_bitwise_or": "({0} | {1})",
    "BitwiseFn_bitwise_xor": "({0} ^ {1})",
}  # fmt: skip
_DEVICE = {
    "Min": "tl.minimum",
    "Max": "tl.maximum",
    "CeilDiv": "tl.cdiv({0}, {1})",
    "FloorDiv": "({0} // {1})",
    "Mod": "({0} % {1})",
    "PythonMod": "({0} % {1})",
    "ToFloat": "tl.cast({0}, tl.float32)",
    "Abs": "tl.abs({0})",
}
_SIGNED = {  # Triton rounds towards zero
    "FloorDiv": "(({0} - ({0} % {1} + {1}) % {1}) // {1})",
    "Mod": "(({0} % {1} + {1}) % {1})",
    "PythonMod": "(({0} % {1} + {1}) % {1})",
}
_HOST = {
    "Min": "min", "Max": "max", "CeilDiv": "-(-{0} // {1})", "ToFloat": "float({0})", "FloorDiv": "({0} // {1})",
    "Mod": "({0} % {1})", "PythonMod": "({0} % {1})", "Abs": "abs({0})", "Pow": "({0} ** {1})",
    "PowByNatural": "({0} ** {1})", "FloatPow": "({0} ** {1})", "TruncToInt": "int({0})", "FloorToInt": "int({0} // 1)",
    "CeilToInt": "(-int(-{0} // 1))", "RoundToInt": "round({0})", "RoundDecimal": "round({0}, {1})",
    "floor": "({0} // 1)",
}  # fmt: skip
_PARTS = {  # what large parts of expressions are called that get a name of their own
    "FloorDiv": "quotient", "CeilDiv": "quotient", "Mod": "remainder", "PythonMod": "remainder", "Min": "bound",
    "Max": "bound", "Add": "sum", "Mul": "product",
}  # fmt: skip
_LARGE, _LARGE_AND_REPEATED = 10, 6  # symbols, numbers and functions; docs/decisions/019 says why so many
_DIVISIONS = {"FloorDiv", "CeilDiv", "CleanDiv", "IntTrueDiv", "Mod", "PythonMod"}
_RELATIONS = {"Equality": "==", "Unequality": "!=", "StrictLessThan": "<", "LessThan": "<=",
              "StrictGreaterThan": ">", "GreaterThan": ">="}  # fmt: skip


def divisors(e: sympy.Basic) -> Iterator[sympy.Basic]:
    """What anything in `e` is divided by."""
    if type(e).__name__ in _DIVISIONS:
        yield e.args[1]
    for arg in e.args:
        yield from divisors(arg)


@functools.lru_cache(maxsize=4096)
def _weight(e: sympy.Basic) -> int:
    return 1 + sum(map(_weight, e.args))


class Printer:
    """Prints expressions; `symbol` names their symbols, `device` chooses Triton's functions over Python's.

    `natural` tells which symbols are never negative: quotients of others are rounded down explicitly on the device.
    `wide` tells of which symbols products may exceed the 32 bits that they have themselves, where there are any.
    `part` may give a large part of an expression a name: it is called with the part, a hint, and what prints the part.
    """

    def __init__(
        self, symbol: Callable[[sympy.Symbol], str], device: bool,
        natural: Callable[[sympy.Symbol], bool] = lambda _: False,
        wide: Callable[[sympy.Symbol], bool] | None = None,
        part: Callable[[sympy.Expr, str, Callable[[], str]], str] | None = None,
    ) -> None:  # fmt: skip
        self._symbol, self._natural, self._wide, self._part = symbol, natural, wide, part
        self._functions = _DEVICE if device else _HOST
        self._device = device

    def __call__(self, size: Size) -> str:
        """`size` as text; sums and products are parenthesised only inside other expressions."""
        text = self._atom(size)
        return text[1:-1] if isinstance(size, (sympy.Add, sympy.Mul)) and text.startswith("(") else text

    def _atom(self, e: Size) -> str:
        """`e` as text that stands for itself inside other expressions."""
        linear = isinstance(e, (sympy.Add, sympy.Mul))  # few instructions, and the compiler sees more if it sees all
        return self._plain(e) if linear else self._named(e, _LARGE)

    def _named(self, e: Size, large: int) -> str:
        """As `_atom`, by a name of its own where it has `large` symbols, numbers and functions."""
        hint = _PARTS.get(type(e).__name__) if self._part is not None else None
        if hint is None or _weight(e) < large:
            return self._plain(e)
        assert self._part is not None
        return self._part(e, hint, functools.partial(self._plain, e))

    def _plain(self, e: Size) -> str:
        if isinstance(e, (int, float)):
            return repr(e) if e >= 0 else f"({e!r})"
        if isinstance(e, sympy.Symbol):
            return self._symbol(e)
        if e.is_Integer:
            return self._atom(int(e))
        if e.is_Rational or e.is_Float:
            return repr(float(e))
        if isinstance(e, sympy.Add):
            return "(" + " + ".join(map(self._atom, e.args)).replace("+ (-1 * ", "- (") + ")"
        if isinstance(e, sympy.Mul):
            return self._product(e.args)
        if isinstance(e, sympy.Pow) and e.exp.is_Integer and 0 < int(e.exp) <= 4:
            return self._product([e.base] * int(e.exp))
        name = type(e).__name__
        if name in _FUNCTIONS:
            return _FUNCTIONS[name].format(*map(self._atom, e.args))
        if name in ("Min", "Max"):
            return self._fold(name, [self._atom(a) for a in e.args])
        if self._device and name in _SIGNED and not all(map(self.never_negative, e.args)):
            return _SIGNED[name].format(*(self._named(a, _LARGE_AND_REPEATED) for a in e.args))
        if name in self._functions:
            return self._functions[name].format(*map(self._atom, e.args))
        if name in _RELATIONS:
            return f"({self._atom(e.lhs)} {_RELATIONS[name]} {self._atom(e.rhs)})"
        if isinstance(e, (sympy.And, sympy.Or)):
            return "(" + (" & " if isinstance(e, sympy.And) else " | ").join(map(self._atom, e.args)) + ")"
        if isinstance(e, sympy.Not):
            return f"({self._atom(e.args[0])} == 0)"
        if e in (sympy.true, sympy.false):
            return str(bool(e))
        raise AssertionError(f"no way to print {e} ({name})")

    def _product(self, factors: Sequence[sympy.Basic]) -> str:
        """In 64 bits from the first factor on that needs them."""
        texts, wide = [self._atom(f) for f in factors], self._wide
        if wide is not None:
            needing = (k for k, f in enumerate(factors) if f.is_integer and any(map(wide, f.free_symbols)))
            first = next(needing, None)
            if first is not None:
                texts[first] = f"tl.cast({texts[first]}, tl.int64)"
        return "(" + " * ".join(texts) + ")"

    def never_negative(self, e: Size) -> bool:
        """Whether it is certain that `e` is at least 0."""
        if isinstance(e, (int, float)) or not e.args:
            return self._natural(e) if isinstance(e, sympy.Symbol) else bool(e >= 0)
        return isinstance(e, sympy.Expr) and all(map(self.never_negative, e.args))

    def _fold(self, name: str, texts: list[str]) -> str:
        result = texts[0]
        for text in texts[1:]:
            result = f"{self._functions[name]}({result}, {text})"
        return result
