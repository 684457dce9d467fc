"""Triton's text for one operation on scalars: spellings that give the same values on the GPU and in the interpreter.

The one place of these texts: operators that we lower ourselves use them, and those that go through TorchInductor too.
"""

from __future__ import annotations

import math
from typing import Any

import torch

HALF = (torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2)
TRITON_DTYPES = {
    torch.float32: "tl.float32", torch.float64: "tl.float64", torch.float16: "tl.float16",
    torch.bfloat16: "tl.bfloat16", torch.bool: "tl.int1", torch.int8: "tl.int8", torch.int16: "tl.int16",
    torch.int32: "tl.int32", torch.int64: "tl.int64", torch.uint8: "tl.uint8", torch.uint16: "tl.uint16",
    torch.uint32: "tl.uint32", torch.uint64: "tl.uint64",
    torch.float8_e4m3fn: "tl.float8e4nv", torch.float8_e5m2: "tl.float8e5",
}  # fmt: skip


def number_text(number: float) -> str:
    """A number in Triton's text. Its own literals lose the sign of zero, and Python has none for infinities and NaN."""
    if number == 0 and math.copysign(1.0, number) < 0:
        return "tl.full([], -2147483648, tl.int32).to(tl.float32, bitcast=True)"
    return repr(number) if math.isfinite(number) else f"float('{number}')"


def cast_text(text: str, source: torch.dtype | None, target: torch.dtype) -> str:
    """`text`, of dtype `source`, converted to `target` as `Tensor.to` does."""
    if source == target:
        return text
    if target is torch.bool:
        return f"({text} != 0)"
    if target is torch.uint8 and source is not None and source.is_floating_point:
        return f"{text}.to(tl.int16).to(tl.uint8)"
    if source in HALF and target in HALF:
        return f"{text}.to(tl.float32).to({TRITON_DTYPES[target]})"
    return f"{text}.to({TRITON_DTYPES[target]})"


def _wide(x: Any) -> str:
    """`x` for a function that Triton has for float32 and float64 alone."""
    return f"{x}.to(tl.float32)" if x.dtype in (torch.float16, torch.bfloat16) else f"{x}"


class Spellings:
    """One method an operation, under the name that TorchInductor has for it; operands have a `dtype` and a text."""

    @staticmethod
    def exp(x: Any) -> str:
        return f"tl.exp({x})"

    @staticmethod
    def exp2(x: Any) -> str:
        return f"tl.exp2({x})"

    @staticmethod
    def expm1(x: Any) -> str:
        return f"libdevice.expm1({_wide(x)})"

    @staticmethod
    def log(x: Any) -> str:
        return f"tl.log({x})"

    @staticmethod
    def log1p(x: Any) -> str:
        return f"libdevice.log1p({_wide(x)})"

    @staticmethod
    def log2(x: Any) -> str:
        return f"tl.log2({x})"

    @staticmethod
    def sin(x: Any) -> str:
        return f"tl.sin({x})"

    @staticmethod
    def cos(x: Any) -> str:
        return f"tl.cos({x})"

    @staticmethod
    def tanh(x: Any) -> str:
        return f"libdevice.tanh({_wide(x)})"

    @staticmethod
    def abs(x: Any) -> str:
        return f"tl.abs({x})"

    @staticmethod
    def neg(x: Any) -> str:
        return f"-{x}"

    @staticmethod
    def sqrt(x: Any) -> str:
        # tl.sqrt_rn takes float32 alone
        return f"tl.sqrt({x})" if x.dtype is torch.float64 else f"tl.sqrt_rn({_wide(x)})"

    @staticmethod
    def rsqrt(x: Any) -> str:
        return f"tl.rsqrt({x})"

    @staticmethod
    def erf(x: Any) -> str:
        return f"tl.erf({x})"

    @staticmethod
    def floor(x: Any) -> str:
        return f"tl.floor({x})"

    @staticmethod
    def ceil(x: Any) -> str:
        return f"tl.ceil({x})"

    @staticmethod
    def trunc(x: Any) -> str:
        return f"libdevice.trunc({_wide(x)})"

    @staticmethod
    def round(x: Any) -> str:
        return f"libdevice.nearbyint({_wide(x)})"

    @staticmethod
    def sigmoid(x: Any) -> str:
        return f"tl.sigmoid({x})"

    @staticmethod
    def isnan(x: Any) -> str:
        return f"{x} != {x}"

    @staticmethod
    def isinf(x: Any) -> str:
        return f"tl.abs({x}) == float('inf')"

    @staticmethod
    def maximum(a: Any, b: Any) -> str:
        return f"tl.maximum({a}, {b}, tl.PropagateNan.ALL)"

    @staticmethod
    def minimum(a: Any, b: Any) -> str:
        return f"tl.minimum({a}, {b}, tl.PropagateNan.ALL)"

    @staticmethod
    def add(x: Any, y: Any) -> str:
        return f"{x} + {y}"

    @staticmethod
    def sub(x: Any, y: Any) -> str:
        return f"{x} - {y}"

    @staticmethod
    def mul(x: Any, y: Any) -> str:
        return f"{x} * {y}"

    @staticmethod
    def truediv(x: Any, y: Any) -> str:
        return f"{x} / {y}"

    @staticmethod
    def truncdiv(a: Any, b: Any) -> str:
        return f"{a} // {b}"

    @staticmethod
    def remainder(a: Any, b: Any) -> str:
        return f"tl.where(({a} % {b} != 0) & (({a} % {b} < 0) != ({b} < 0)), {a} % {b} + {b}, {a} % {b})"

    @staticmethod
    def eq(x: Any, y: Any) -> str:
        return f"{x} == {y}"

    @staticmethod
    def ne(x: Any, y: Any) -> str:
        return f"{x} != {y}"

    @staticmethod
    def lt(x: Any, y: Any) -> str:
        return f"{x} < {y}"

    @staticmethod
    def le(x: Any, y: Any) -> str:
        return f"{x} <= {y}"

    @staticmethod
    def gt(x: Any, y: Any) -> str:
        return f"{x} > {y}"

    @staticmethod
    def ge(x: Any, y: Any) -> str:
        return f"{x} >= {y}"

    @staticmethod
    def logical_not(x: Any) -> str:
        return f"{x} == 0"

    @staticmethod
    def bitwise_not(x: Any) -> str:
        return f"~{x}"

    @staticmethod
    def bitwise_and(x: Any, y: Any) -> str:
        return f"{x} & {y}"

    @staticmethod
    def bitwise_or(x: Any, y: Any) -> str:
        return f"{x} | {y}"

    @staticmethod
    def bitwise_xor(x: Any, y: Any) -> str:
        return f"{x} ^ {y}"

    @staticmethod
    def bitwise_left_shift(x: Any, y: Any) -> str:
        return f"{x} << {y}"

    @staticmethod
    def bitwise_right_shift(x: Any, y: Any) -> str:
        return f"{x} >> {y}"

    @staticmethod
    def where(condition: Any, x: Any, y: Any) -> str:
        return f"tl.where({condition}, {x}, {y})"

    @staticmethod
    def to_dtype(
        x: Any, dtype: torch.dtype, src_dtype: torch.dtype | None = None, use_compute_types: bool = True
    ) -> str:  # fmt: skip
        return cast_text(str(x), src_dtype or x.dtype, dtype)
