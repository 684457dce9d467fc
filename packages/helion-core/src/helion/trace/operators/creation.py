"""Operators that make new values: zeros, full, arange and their `new_` and `_like` forms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from ... import ir
from ...ir import Dim
from ..symbols import expr_of
from ..values import TileTensor
from .registry import aten, handles, prims

if TYPE_CHECKING:
    from ..tracer import Tracer


@handles(aten.zeros.default, aten.empty.memory_format)
def _zeros(tracer: Tracer, size: Sequence[Any], *, dtype: torch.dtype | None = None, **_: Any) -> TileTensor:
    return tracer.full(size, 0, dtype or torch.get_default_dtype())


@handles(aten.ones.default)
def _ones(tracer: Tracer, size: Sequence[Any], *, dtype: torch.dtype | None = None, **_: Any) -> TileTensor:
    return tracer.full(size, 1, dtype or torch.get_default_dtype())


@handles(aten.full.default)
def _full(tracer: Tracer, size: Sequence[Any], fill: Any, *, dtype: torch.dtype | None = None, **_: Any) -> TileTensor:
    if dtype is None and not isinstance(fill, (TileTensor, torch.SymInt, torch.SymFloat)):
        dtype = torch.bool if isinstance(fill, bool) else torch.int64 if isinstance(fill, int) else torch.float32
    return tracer.full(size, fill, dtype)


@handles(aten.scalar_tensor.default)
def _scalar_tensor(tracer: Tracer, value: Any, *, dtype: torch.dtype | None = None, **_: Any) -> TileTensor:
    return tracer.full((), value, dtype or torch.float32)


def _like(tracer: Tracer, x: TileTensor, fill: Any, dtype: torch.dtype | None) -> TileTensor:
    value = tracer.value(x)
    return tracer.emit(ir.Full(fill=fill), value.dims, dtype or value.dtype)


@handles(aten.zeros_like.default, aten.empty_like.default)
def _zeros_like(tracer: Tracer, x: TileTensor, *, dtype: torch.dtype | None = None, **_: Any) -> TileTensor:
    return _like(tracer, x, 0, dtype)


@handles(aten.ones_like.default)
def _ones_like(tracer: Tracer, x: TileTensor, *, dtype: torch.dtype | None = None, **_: Any) -> TileTensor:
    return _like(tracer, x, 1, dtype)


@handles(aten.full_like.default)
def _full_like(tracer: Tracer, x: TileTensor, fill: Any, *, dtype: torch.dtype | None = None, **_: Any) -> TileTensor:
    if isinstance(fill, (TileTensor, torch.SymInt, torch.SymFloat)):
        return tracer.full(x.shape, fill, dtype or x.dtype)
    return _like(tracer, x, fill, dtype)


@handles(aten.new_zeros.default, aten.new_empty.default)
def _new_zeros(tracer: Tracer, x: TileTensor, size: Any, *, dtype: torch.dtype | None = None, **_: Any) -> TileTensor:
    return tracer.full(size, 0, dtype or x.dtype)


@handles(aten.new_ones.default)
def _new_ones(tracer: Tracer, x: TileTensor, size: Any, *, dtype: torch.dtype | None = None, **_: Any) -> TileTensor:
    return tracer.full(size, 1, dtype or x.dtype)


@handles(aten.new_full.default)
def _new_full(
    tracer: Tracer, x: TileTensor, size: Any, fill: Any, *, dtype: torch.dtype | None = None, **_: Any
) -> TileTensor:
    return tracer.full(size, fill, dtype or x.dtype)


@handles(aten.arange.default)
def _arange(tracer: Tracer, end: Any, **kwargs: Any) -> TileTensor:
    return _arange_step(tracer, 0, end, 1, **kwargs)


@handles(aten.arange.start)
def _arange_start(tracer: Tracer, start: Any, end: Any, **kwargs: Any) -> TileTensor:
    return _arange_step(tracer, start, end, 1, **kwargs)


@handles(aten.arange.start_step)
def _arange_step(
    tracer: Tracer, start: Any, end: Any, step: Any = 1, *, dtype: torch.dtype | None = None, **_: Any
) -> TileTensor:
    if any(isinstance(v, float) for v in (start, end, step)):
        count = int(-((start - end) // step))
        ramp = _arange_step(tracer, 0, count, 1, dtype=torch.int64).to(dtype or torch.float32)
        return ramp * step + start
    first, last, stride = tracer.size_of(start), tracer.size_of(end), tracer.size_of(step)
    length = last - first if stride == 1 else -((first - last) // stride)
    size = int(length) if getattr(length, "is_Integer", False) else expr_of(length)
    return tracer.emit(ir.Iota(start=first, step=stride), (tracer.dim(size),), torch.int32, "").to(dtype or torch.int64)


@handles(prims.iota.default)
def _iota(tracer: Tracer, length: Any, *, start: Any, step: Any, dtype: torch.dtype, **_: Any) -> TileTensor:
    begin, stride = tracer.size_of(start), tracer.size_of(step)
    return tracer.emit(ir.Iota(start=begin, step=stride), (tracer.dim(tracer.size_of(length)),), torch.int32).to(dtype)


@handles(aten.linspace.default)
def _linspace(
    tracer: Tracer, start: Any, end: Any, steps: int, *, dtype: torch.dtype | None = None, **_: Any
) -> TileTensor:
    result = dtype or torch.get_default_dtype()
    if steps == 1:
        return tracer.full([1], start, result)
    at = tracer.emit(ir.Iota(start=0, step=1), (tracer.dim(steps),), torch.int32).to(torch.float32)
    step = (end - start) / (steps - 1)
    return torch.where(at < steps // 2, start + at * step, end - (steps - 1 - at) * step).to(result)


@handles(aten.eye.default)
def _eye(tracer: Tracer, n: Any, **kwargs: Any) -> TileTensor:
    return _eye_m(tracer, n, n, **kwargs)


@handles(aten.eye.m)
def _eye_m(tracer: Tracer, n: Any, m: Any, *, dtype: torch.dtype | None = None, **_: Any) -> TileTensor:
    rows, columns = (_arange(tracer, size, dtype=torch.int32) for size in (n, m))
    return (rows[:, None] == columns[None, :]).to(dtype or torch.get_default_dtype())


def _below(tracer: Tracer, x: TileTensor, diagonal: int) -> TileTensor:
    """Which elements of the last two dims lie on or below a diagonal."""
    rows, columns = (position(tracer, dim) for dim in tracer.value(x).dims[-2:])
    return columns[None, :] - rows[:, None] <= diagonal


def position(tracer: Tracer, dim: Dim) -> TileTensor:
    """0, 1, ... along a dim of a value, masked as the dim is."""
    return tracer.emit(ir.Iota(start=0, step=1), (dim,), torch.int32)


@handles(aten.tril.default)
def _tril(tracer: Tracer, x: TileTensor, diagonal: int = 0) -> TileTensor:
    return torch.where(_below(tracer, x, diagonal), x, torch.zeros_like(x))


@handles(aten.triu.default)
def _triu(tracer: Tracer, x: TileTensor, diagonal: int = 0) -> TileTensor:
    return torch.where(_below(tracer, x, diagonal - 1), torch.zeros_like(x), x)
