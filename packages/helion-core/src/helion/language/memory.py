"""Explicit reads and writes of host tensors: `hl.load`, `hl.store`, atomic updates, tensors behind device pointers.

An index is what a subscript takes: a list or tuple of tiles, ints, slices, None and integer device values.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ._engine import run


def load(tensor: Any, index: Sequence[Any] | Any, extra_mask: Any = None, eviction_policy: str | None = None) -> Any:
    """`tensor[index]`; lanes where `extra_mask` (bool, broadcast to the access) is false are not read and hold 0.

    `eviction_policy`: "evict_first", "evict_last" or "" for cache lines read here. Raises `InvalidIndexing`,
    `ShapeMismatch`.
    """
    return run("load", tensor, index, extra_mask, eviction_policy)


def store(tensor: Any, index: Sequence[Any] | Any, value: Any, extra_mask: Any = None) -> None:
    """`tensor[index] = value`, cast to the tensor's dtype; lanes where `extra_mask` is false are not written."""
    run("store", tensor, index, value, extra_mask)


def stacktensor_like(example: Any, dev_ptrs: Any) -> Any:
    """Tensors laid out like the host tensor `example` at the int64 addresses that the device value `dev_ptrs` holds.

    `stack[idx]` (or `hl.load(stack, idx)`) has the dims of `dev_ptrs`, then those of `example[idx]`; stores work alike.
    """
    return run("stacktensor_like", example, dev_ptrs)


def _atomic(kind: str, tensor: Any, index: Any, values: tuple[Any, ...], sem: str) -> Any:
    return run("atomic", kind, tensor, index, values, sem)


def atomic_add(tensor: Any, index: Sequence[Any] | Any, value: Any, sem: str = "relaxed") -> Any:
    """Adds `value` to `tensor[index]` atomically and returns the previous values.

    16-, 32- and 64-bit floats, 32- and 64-bit ints. `sem`: "relaxed", "acquire", "release" or "acq_rel". Raises
    `DtypeMismatch` for other dtypes, as the other atomic functions do.
    """
    return _atomic("add", tensor, index, (value,), sem)


def atomic_and(tensor: Any, index: Sequence[Any] | Any, value: Any, sem: str = "relaxed") -> Any:
    """`tensor[index] &= value`, atomically; returns the previous values. 32- and 64-bit ints."""
    return _atomic("and", tensor, index, (value,), sem)


def atomic_or(tensor: Any, index: Sequence[Any] | Any, value: Any, sem: str = "relaxed") -> Any:
    """`tensor[index] |= value`, atomically; returns the previous values. 32- and 64-bit ints."""
    return _atomic("or", tensor, index, (value,), sem)


def atomic_xor(tensor: Any, index: Sequence[Any] | Any, value: Any, sem: str = "relaxed") -> Any:
    """`tensor[index] ^= value`, atomically; returns the previous values. 32- and 64-bit ints."""
    return _atomic("xor", tensor, index, (value,), sem)


def atomic_max(tensor: Any, index: Sequence[Any] | Any, value: Any, sem: str = "relaxed") -> Any:
    """The larger of `tensor[index]` and `value` is stored, atomically; returns the previous values. float32 and
    ints.
    """
    return _atomic("max", tensor, index, (value,), sem)


def atomic_min(tensor: Any, index: Sequence[Any] | Any, value: Any, sem: str = "relaxed") -> Any:
    """The smaller of `tensor[index]` and `value` is stored, atomically; returns the previous values. float32 and
    ints.
    """
    return _atomic("min", tensor, index, (value,), sem)


def atomic_xchg(tensor: Any, index: Sequence[Any] | Any, value: Any, sem: str = "relaxed") -> Any:
    """`tensor[index] = value`, atomically; returns the previous values. 32- and 64-bit types."""
    return _atomic("xchg", tensor, index, (value,), sem)


def atomic_cas(tensor: Any, index: Sequence[Any] | Any, expected: Any, value: Any, sem: str = "relaxed") -> Any:
    """Stores `value` where `tensor[index]` equals `expected`, atomically; returns the previous values. 32- and
    64-bit types.
    """
    return _atomic("cas", tensor, index, (expected, value), sem)
