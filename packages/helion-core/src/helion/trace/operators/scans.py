"""Running results along a dimension: cumsum, cumprod, cummax, cummin, logcumsumexp."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from ... import ir
from ...ir import Block
from ...lower.padding import identity
from .. import jagged, shapes
from ..values import TileTensor
from .broadcast import along
from .combine import scan
from .pointwise import cast
from .reductions import wide_dtype
from .registry import aten, handles

if TYPE_CHECKING:
    from ..tracer import Tracer


def running(tracer: Tracer, kind: str, x: TileTensor, dim: int, dtype: Any = None, reverse: bool = False) -> TileTensor:
    """`cumsum` (kind sum) or `cumprod` (prod) along `dim`; ints give int64, half precision accumulates in float32."""
    result = dtype or (x.dtype if x.dtype.is_floating_point else torch.int64)
    if x.dim() == 0:
        return cast(tracer, x, result)
    d = shapes.dim_number(dim, x.dim(), f"cum{kind}")
    wide = cast(tracer, cast(tracer, x, result), wide_dtype(result))
    value = tracer.value(jagged.filled(tracer, wide, d, identity(kind, wide.dtype)) if reverse else wide)
    op = ir.Scan(dim=d, reverse=reverse, kind=kind, body=Block(), inputs=(value,))
    return cast(tracer, tracer.emit(op, value.dims, value.dtype), result)


@handles(aten.cumsum.default)
def _cumsum(tracer: Tracer, x: TileTensor, dim: int, *, dtype: Any = None) -> TileTensor:
    return running(tracer, "sum", x, dim, dtype)


@handles(aten.cumprod.default)
def _cumprod(tracer: Tracer, x: TileTensor, dim: int, *, dtype: Any = None) -> TileTensor:
    return running(tracer, "prod", x, dim, dtype)


def _later_of(better: Any) -> Any:
    def combine(a: Any, i: Any, b: Any, j: Any) -> Any:
        right = better(b, a) | (b != b)
        right = right & ~((a != a) & (b == b))
        return torch.where(right, b, a), torch.where(right, j, i)

    return combine


_LARGER, _SMALLER = _later_of(torch.ge), _later_of(torch.le)


def _extreme(tracer: Tracer, x: TileTensor, dim: int, combine: Any) -> tuple[TileTensor, TileTensor]:
    if x.dim() == 0:
        return x, torch.zeros_like(x, dtype=torch.int64)
    d = shapes.dim_number(dim, x.dim(), "cummax")
    positions = position_along(tracer, x, d)
    values, found = scan(tracer, combine, (cast(tracer, x, wide_dtype(x.dtype)), positions), d, False)
    return cast(tracer, values, x.dtype), cast(tracer, found, torch.int64)


def position_along(tracer: Tracer, x: TileTensor, dim: int) -> TileTensor:
    """The position of every element of x along `dim`, int32."""
    dims = tracer.value(x).dims
    at = tracer.value(along(tracer.emit(ir.Iota(start=0, step=1), dims[dim : dim + 1], torch.int32), len(dims), dim))
    return tracer.emit(ir.Expand(inputs=(at,)), dims, torch.int32) if at.dims != dims else tracer.wrap(at)


@handles(aten.cummax.default)
def _cummax(tracer: Tracer, x: TileTensor, dim: int) -> tuple[TileTensor, TileTensor]:
    return _extreme(tracer, x, dim, _LARGER)


@handles(aten.cummin.default)
def _cummin(tracer: Tracer, x: TileTensor, dim: int) -> tuple[TileTensor, TileTensor]:
    return _extreme(tracer, x, dim, _SMALLER)


def _log_add_exp(a: Any, b: Any) -> Any:
    large, small = torch.maximum(a, b), torch.minimum(a, b)
    plain = large + torch.log(1 + torch.exp(small - large))
    return torch.where((large == small) & (large.abs() == float("inf")), large, plain)


@handles(aten.logcumsumexp.default)
def _logcumsumexp(tracer: Tracer, x: TileTensor, dim: int) -> TileTensor:
    if x.dim() == 0:
        return x
    d = shapes.dim_number(dim, x.dim(), "logcumsumexp")
    (result,) = scan(tracer, _log_add_exp, (cast(tracer, x, wide_dtype(x.dtype)),), d, False)
    return cast(tracer, result, x.dtype)
