"""Matrix products beyond torch's: `hl.dot`."""

from __future__ import annotations

from typing import Any

from ._engine import require_device


def dot(a: Any, b: Any, acc: Any = None, out_dtype: Any = None) -> Any:
    """`a @ b (+ acc)` over the last two dimensions, accumulated in `out_dtype` (int32 for int8, else float32).

    a: [..., M, K], b: [..., K, N], acc: [..., M, N] in the accumulator's dtype. f16, bf16, f32, int8, fp8.
    """
    return require_device("hl.dot").dot(a, b, acc, out_dtype)
