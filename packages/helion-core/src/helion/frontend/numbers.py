"""What Python does with numbers and torch's symbolic ones or tensors cannot: text, `**`, `~`, `divmod` and `round`.

Rewritten functions call this. Where Python's answer is text or depends on more than a formula, the trace takes the
number's value of this call, and then holds for calls with that value only.
"""

from __future__ import annotations

from collections.abc import Callable
from types import BuiltinMethodType
from typing import Any

import torch
from torch.utils._pytree import tree_map_only

from .. import exc, location
from . import engine as _engine

_SYMBOLIC = (torch.SymInt, torch.SymFloat, torch.SymBool)


def _is_hosts(value: Any) -> bool:
    """Whether `value` stands for a number that the host knows at each call."""
    engine = _engine.current()
    return isinstance(value, _SYMBOLIC) and engine is not None and not engine.is_device_value(value)


def settled(value: Any) -> Any:
    """`value` with numbers of the host, also in containers, as those of this call, for which alone the trace holds."""

    def plain(number: Any) -> Any:
        if not _is_hosts(number):
            return number
        kind = int if isinstance(number, torch.SymInt) else float if isinstance(number, torch.SymFloat) else bool
        return kind(number)

    return value if _engine.current() is None else tree_map_only(_SYMBOLIC, plain, value)


def base(value: Any) -> Any:
    """The left operand of `**`."""
    return Number(value) if isinstance(value, (torch.SymInt, torch.SymFloat)) and _is_hosts(value) else value


def bits(value: Any) -> Any:
    """The operand of `~`."""
    return Bits(value) if isinstance(value, torch.SymInt) else value


class Number:
    """A number of the caller's to be raised to a power; torch's own refuses powers of negative floats."""

    def __init__(self, value: torch.SymInt | torch.SymFloat) -> None:
        self.value: Any = value

    def __pow__(self, exponent: Any) -> Any:
        if not isinstance(exponent, (int, float, torch.SymInt, torch.SymFloat)):
            return self.value**exponent if isinstance(exponent, torch.Tensor) else NotImplemented
        if isinstance(exponent, _SYMBOLIC) and not _is_hosts(exponent):
            return self.value**exponent
        of_int = isinstance(self.value, torch.SymInt) and isinstance(exponent, (int, torch.SymInt))
        if of_int and exponent >= 0:
            return self.value**exponent
        if isinstance(exponent, (int, torch.SymInt)) or (isinstance(exponent, float) and exponent.is_integer()):
            return self._whole_power(exponent)
        if self.value >= 0:
            return self.value**exponent
        if float(exponent).is_integer():
            return self._whole_power(exponent)
        raise exc.UnsupportedOperation(
            op="a negative number to the power of a fraction", reason=": the result would be complex",
            instead="take abs(...) of the number, or give a whole exponent", location=location.here(),
        )  # fmt: skip

    def _whole_power(self, exponent: Any) -> Any:
        """In floating point, whatever the sign."""
        float_base: Any = torch.sym_float(self.value)
        return float_base.__float_pow__(torch.sym_float(exponent))


class Bits:
    """An integer whose bits are to be inverted, which torch's symbolic ones cannot be."""

    def __init__(self, value: torch.SymInt) -> None:
        self.value = value

    def __invert__(self) -> Any:
        return -1 - self.value


def _divmod(a: Any, b: Any) -> Any:
    whole = all(isinstance(number, (int, torch.SymInt)) for number in (a, b))
    on_device = isinstance(a, torch.Tensor) or isinstance(b, torch.Tensor)
    return (a // b, a % b) if whole or on_device else divmod(settled(a), settled(b))


def _pow(a: Any, exponent: Any, modulus: Any = None) -> Any:
    if modulus is None:
        return base(a) ** exponent
    return pow(settled(a), settled(exponent), settled(modulus))


def _round(number: Any, digits: Any = None) -> Any:
    """Of device values what `torch.round` gives, in their dtype; Python has none for tensors."""
    engine = _engine.current()
    if isinstance(number, torch.Tensor) and engine is not None and engine.in_device:
        return torch.round(number) if digits is None else torch.round(number, decimals=settled(digits))
    return round(number) if digits is None else round(number, digits)


def _of_values(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args, **kwargs: function(*map(settled, args), **{k: settled(v) for k, v in kwargs.items()})


_BUILTINS: dict[Any, Callable[..., Any]] = {
    divmod: _divmod, pow: _pow, round: _round,
    **{function: _of_values(function) for function in (str, repr, ascii, format)},
}  # fmt: skip


def builtin(function: Any) -> Callable[..., Any] | None:
    """What to call instead of a function of Python's that would ask symbolic numbers for what they lack, if it is."""
    if isinstance(function, BuiltinMethodType) and isinstance(function.__self__, str) and function.__name__ == "format":
        return _of_values(function)
    return _BUILTINS.get(function) if isinstance(function, (type, BuiltinMethodType)) else None
