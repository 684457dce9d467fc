"""Numbers as people read them: three significant digits, units, short names of dtypes."""

from __future__ import annotations

import math

_SHORT = {
    "bfloat16": "bf16",
    "float16": "fp16",
    "float32": "fp32",
    "float64": "fp64",
    "float8_e4m3fn": "fp8",
    "int8": "int8",
}


def dtype_name(dtype: str) -> str:
    """bf16 for bfloat16; what is not known stays."""
    return _SHORT.get(dtype, dtype)


def dtype_of(name: str) -> str:
    """The reverse of `dtype_name`."""
    return next((dtype for dtype, short in _SHORT.items() if short == name), name)


def number(value: float) -> str:
    """Three significant digits, no exponent: 0.0123, 1.23, 12.3, 1230."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else "∞"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:.{digits}f}"
    return text if abs(value) < 1000 else f"{float(f'{value:.3g}'):.0f}"


def microseconds(value: float) -> str:
    return number(value)


def factor(value: float) -> str:
    """1.85×"""
    return f"{value:.2f}×" if value < 100 else f"{value:.0f}×"


def error(value: float) -> str:
    return "0" if value == 0 else f"{value:.1e}"


def size(count: int) -> str:
    """Bytes in binary units."""
    value = float(count)
    for unit in ("B", "KiB", "MiB"):
        if value < 1024:
            return f"{number(value)} {unit}"
        value /= 1024
    return f"{number(value)} GiB"


def percent(value: float) -> str:
    return f"{value:.0%}"


def signed_percent(value: float) -> str:
    return f"{value:+.1%}"
