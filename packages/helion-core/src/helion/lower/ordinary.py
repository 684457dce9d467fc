"""The elementwise operators that nearly every kernel uses, as texts, without the seconds that Inductor takes to import.

Whatever is written here equals, to the letter, what Inductor's lowering gives; what would not is declined.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch._prims_common import ELEMENTWISE_TYPE_PROMOTION_KIND, elementwise_dtypes

from ..ir import Slot
from .recorder import Recorder, Template, Variable
from .spellings import HALF, Spellings, cast_text

aten = torch.ops.aten

DTYPES = frozenset({
    torch.float64, torch.float32, torch.float16, torch.bfloat16,
    torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool,
})  # fmt: skip
DEFAULT = ELEMENTWISE_TYPE_PROMOTION_KIND.DEFAULT
TO_FLOAT = ELEMENTWISE_TYPE_PROMOTION_KIND.INT_TO_FLOAT


class _Declined(Exception):
    """A form of the operator that is left to Inductor."""


@functools.cache
def _meta(dtype: torch.dtype, has_dims: bool) -> torch.Tensor:
    return torch.empty([1] if has_dims else [], dtype=dtype, device="meta")


class _Body(Recorder):
    """The steps of one operator; its arguments are `Slot`s and numbers."""

    def promoted(self, kind: ELEMENTWISE_TYPE_PROMOTION_KIND, *arguments: Any) -> torch.dtype:
        """The dtype to which torch takes the arguments."""
        stand_ins = [_meta(*self.inputs[a.index]) if isinstance(a, Slot) else a for a in arguments]
        return elementwise_dtypes(*stand_ins, type_promotion_kind=kind)[1]

    def operand(self, argument: Any, dtype: torch.dtype) -> Variable:
        """A tensor or number as a `dtype`."""
        if not isinstance(argument, Slot):
            return self.constant(argument, dtype)
        x, source = self.input(argument.index), self.inputs[argument.index][0]
        return x if source == dtype else self.step(cast_text(str(x), source, dtype), _computed(dtype))

    def call(self, spelling: str, dtype: torch.dtype, *operands: Variable) -> Variable:
        """One operation, computed in `dtype` or, for half precision, in float32."""
        return self.step(getattr(Spellings, spelling)(*operands), _computed(dtype))


def _computed(dtype: torch.dtype) -> torch.dtype:
    return torch.float32 if dtype in HALF else dtype


_Writer = Callable[..., Variable]
_WRITERS: dict[Any, _Writer] = {}


def _writes(*targets: Any) -> Callable[[_Writer], _Writer]:
    def register(writer: _Writer) -> _Writer:
        _WRITERS.update(dict.fromkeys(targets, writer))
        return writer

    return register


def covers(target: Any) -> bool:
    """Whether some forms of `target` are written here."""
    return target in _WRITERS


def covered() -> list[Any]:
    """All operators of which some forms are written here."""
    return list(_WRITERS)


def template(target: Any, inputs: Any, args: Any, kwargs: Any, result: torch.dtype) -> Template | None:
    """See `pointwise.template`. None where this operator, or this form of it, is left to Inductor."""
    writer = _WRITERS.get(target)
    plain = all(isinstance(a, Slot) or type(a) in (int, float) for a in args)
    if writer is None or not plain or result not in DTYPES or any(dtype not in DTYPES for dtype, _ in inputs):
        return None
    body = _Body(inputs)
    try:
        return body.template(writer(body, *args, **dict(kwargs)), result)
    except _Declined:
        return None


# --- operators that are one spelling after promotion


def _one(spelling: str, kind: ELEMENTWISE_TYPE_PROMOTION_KIND = DEFAULT, result: torch.dtype | None = None) -> _Writer:
    def write(body: _Body, *args: Any) -> Variable:
        dtype = body.promoted(kind, *args)
        return body.call(spelling, result or dtype, *(body.operand(a, dtype) for a in args))

    return write


for _name in ("exp", "exp2", "expm1", "log", "log1p", "log2", "sqrt", "rsqrt", "sigmoid", "tanh", "erf", "sin", "cos"):
    _WRITERS[getattr(aten, _name).default] = _one(_name, TO_FLOAT)
for _name in ("neg", "abs", "maximum", "minimum"):
    _WRITERS[getattr(aten, _name).default] = _one(_name)
for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    _WRITERS[getattr(aten, _name).Tensor] = _one(_name, result=torch.bool)
for _spelling, _names in {
    "bitwise_and": ("bitwise_and",),
    "bitwise_or": ("bitwise_or",),
    "bitwise_xor": ("bitwise_xor", "__xor__"),
    "bitwise_left_shift": ("bitwise_left_shift", "__lshift__"),
    "bitwise_right_shift": ("bitwise_right_shift", "__rshift__"),
    "remainder": ("remainder",),
}.items():
    for _name in _names:
        _packet = getattr(aten, _name)
        _overloads = [getattr(_packet, o) for o in ("Tensor", "Scalar", "Tensor_Scalar") if o in _packet.overloads()]
        _writes(*_overloads)(_one(_spelling))
_writes(aten.clamp_min.default, aten.clamp_min.Tensor)(_one("maximum"))
_writes(aten.clamp_max.default, aten.clamp_max.Tensor)(_one("minimum"))


# --- operators with rules of their own


def _rounding(spelling: str) -> _Writer:
    def write(body: _Body, x: Slot) -> Variable:
        dtype = body.inputs[x.index][0]
        operand = body.operand(x, dtype)
        return body.call(spelling, dtype, operand) if dtype.is_floating_point else operand

    return write


for _name in ("floor", "ceil", "trunc", "round"):
    _WRITERS[getattr(aten, _name).default] = _rounding(_name)


def _test(spelling: str) -> _Writer:
    def write(body: _Body, x: Slot) -> Variable:
        dtype = body.inputs[x.index][0]
        if not dtype.is_floating_point:
            raise _Declined
        return body.call(spelling, torch.bool, body.operand(x, dtype))

    return write


_WRITERS[aten.isnan.default] = _test("isnan")
_WRITERS[aten.isinf.default] = _test("isinf")


def _logical(spelling: str) -> _Writer:
    def write(body: _Body, *args: Any) -> Variable:
        return body.call(spelling, torch.bool, *(body.operand(a, torch.bool) for a in args))

    return write


_WRITERS[aten.logical_not.default] = _logical("logical_not")
_WRITERS[aten.logical_and.default] = _logical("bitwise_and")
_WRITERS[aten.logical_or.default] = _logical("bitwise_or")


@_writes(aten.bitwise_not.default)
def _bitwise_not(body: _Body, x: Slot) -> Variable:
    dtype = body.inputs[x.index][0]
    return body.call("logical_not" if dtype is torch.bool else "bitwise_not", dtype, body.operand(x, dtype))


def _sum(spelling: str) -> _Writer:
    def write(body: _Body, x: Any, y: Any, alpha: Any = 1) -> Variable:
        dtype = body.promoted(DEFAULT, x, y)
        if type(alpha) not in (int, float) or (dtype is torch.bool and (spelling != "add" or alpha != 1)):
            raise _Declined
        left, right = body.operand(x, dtype), body.operand(y, dtype)
        if alpha != 1:
            right = body.call("mul", dtype, right, body.constant(alpha, dtype))
        return body.call("bitwise_or" if dtype is torch.bool else spelling, dtype, left, right)

    return write


_writes(aten.add.Tensor, aten.add.Scalar)(_sum("add"))
_writes(aten.sub.Tensor, aten.sub.Scalar)(_sum("sub"))


@_writes(aten.mul.Tensor, aten.mul.Scalar)
def _mul(body: _Body, x: Any, y: Any) -> Variable:
    dtype = body.promoted(DEFAULT, x, y)
    spelling = "bitwise_and" if dtype is torch.bool else "mul"
    return body.call(spelling, dtype, body.operand(x, dtype), body.operand(y, dtype))


_div = _one("truediv", TO_FLOAT)
_writes(aten.div.Tensor, aten.true_divide.Tensor)(_div)


@_writes(aten.div.Tensor_mode)
def _div_mode(body: _Body, x: Any, y: Any, rounding_mode: str | None = None) -> Variable:
    if rounding_mode != "trunc":
        raise _Declined  # how floats are divided before they are rounded down differs between releases of torch
    dtype = body.promoted(DEFAULT, x, y)
    if dtype is torch.bool:
        raise _Declined
    if dtype.is_floating_point:
        return body.call("trunc", dtype, _div(body, x, y))
    return _one("truncdiv")(body, x, y)


def _compared(spelling: str) -> _Writer:
    def write(body: _Body, x: Slot, number: Any) -> Variable:
        dtype = body.promoted(DEFAULT, x, number)
        if dtype in HALF and torch.tensor(number, dtype=dtype).item() != number:
            raise _Declined  # whether the number is rounded first differs between releases of torch
        return body.call(spelling, torch.bool, body.operand(x, dtype), body.operand(number, dtype))

    return write


for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    _WRITERS[getattr(aten, _name).Scalar] = _compared(_name)


@_writes(aten.reciprocal.default)
def _reciprocal(body: _Body, x: Slot) -> Variable:
    dtype = body.promoted(TO_FLOAT, x)
    operand = body.operand(x, dtype)
    return body.call("truediv", dtype, body.constant(1, torch.float32), operand)


@_writes(aten.relu.default)
def _relu(body: _Body, x: Slot) -> Variable:
    dtype = body.inputs[x.index][0]
    zero = body.constant(0, dtype if dtype in (torch.int8, torch.int16, torch.uint8) else torch.int32)
    return body.call("maximum", dtype, zero, body.operand(x, dtype))


@_writes(aten.where.self)
def _where(body: _Body, condition: Slot, x: Any, y: Any) -> Variable:
    dtype = body.promoted(DEFAULT, x, y)
    chosen = body.operand(condition, torch.bool)
    return body.call("where", dtype, chosen, body.operand(x, dtype), body.operand(y, dtype))


@_writes(aten.pow.Tensor_Scalar)
def _pow(body: _Body, x: Slot, exponent: Any) -> Variable:
    dtype = body.inputs[x.index][0]
    if exponent == 0.5 and dtype.is_floating_point:
        return body.call("sqrt", dtype, body.operand(x, dtype))
    if exponent not in range(2, 17) or (type(exponent) is float and not dtype.is_floating_point):
        raise _Declined
    dtype = body.promoted(DEFAULT, x, exponent)
    return _power(body, dtype, body.operand(x, dtype), int(exponent))


def _power(body: _Body, dtype: torch.dtype, x: Variable, n: int) -> Variable:
    """x to the power of n >= 1, by squaring."""
    if n == 1:
        return x
    half = _power(body, dtype, x, n // 2)
    square = body.call("mul", dtype, half, half)
    return body.call("mul", dtype, square, x) if n % 2 else square
