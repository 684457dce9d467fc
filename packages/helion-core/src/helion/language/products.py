"""Matrix products beyond torch's: `hl.dot`, `hl.dot_scaled`."""

from __future__ import annotations

from typing import Any

from ._engine import require_device, run


def dot(a: Any, b: Any, acc: Any = None, out_dtype: Any = None) -> Any:
    """`a @ b (+ acc)` over the last two dimensions, accumulated in `out_dtype` (int32 for int8, else float32).

    a: [..., M, K], b: [..., K, N], acc: [..., M, N] in the accumulator's dtype. f16, bf16, f32, int8, fp8.
    """
    return require_device("hl.dot").dot(a, b, acc, out_dtype)


def dot_scaled(
    a: Any, a_scale: Any, a_format: str, b: Any, b_scale: Any, b_format: str, acc: Any = None, out_dtype: Any = None
) -> Any:
    """`(a * a_scale) @ (b * b_scale) (+ acc)` in block-scaled formats, accumulated in float32 (the default
    `out_dtype`).

    Formats: "e2m1" (two to a uint8, packed along K), "e4m3", "e5m2", "bf16", "fp16". Scales are uint8 exponents
    (e8m0), one per 32 elements along K: a_scale [M, K/32], b_scale [N, K/32]; None for none. Raises `DtypeMismatch` and
    `ShapeMismatch`.
    """
    return run("dot_scaled", a, a_scale, a_format, b, b_scale, b_format, acc, out_dtype)
