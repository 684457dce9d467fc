"""Values made on the device: `hl.zeros`, `hl.full`, `hl.arange`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ._engine import require_device, run


def zeros(shape: Sequence[Any], dtype: Any = None) -> Any:
    """A device value of zeros. `shape`: tiles, block sizes and ints; `dtype`: torch.float32 unless given."""
    return require_device("hl.zeros").full(shape, 0, dtype)


def full(shape: Sequence[Any], value: Any, dtype: Any = None) -> Any:
    """A device value filled with `value`, a number or a scalar on the device; `dtype`: torch.float32 unless given."""
    return require_device("hl.full").full(shape, value, dtype)


def arange(*args: Any, dtype: Any = None) -> Any:
    """`arange(end)`, `arange(begin, end)` or `arange(begin, end, step)`: int32 unless `dtype` is given; a tile is
    its block size.
    """
    return run("arange", args, dtype)
