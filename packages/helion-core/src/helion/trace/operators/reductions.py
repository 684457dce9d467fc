"""Reductions over one or several dimensions, in terms of one-dimensional `ir.Reduce` and elementwise operators.

Half precision inputs are reduced in float32; sums of bools and ints give int64, as in torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import sympy
import torch

from ... import exc, ir, location
from ...ir import Size
from ...lower.padding import identity
from .. import jagged, shapes
from ..values import TileTensor
from .broadcast import along
from .combine import reduce_with
from .pointwise import cast
from .registry import aten, handles

if TYPE_CHECKING:
    from ..tracer import Tracer

_HALF = (torch.float16, torch.bfloat16)


def dim_list(x: TileTensor, dim: Any, op: str) -> list[int]:
    """The dimensions that `dim` (None, an int or a list) names, in ascending order."""
    rank = x.dim()
    if dim is None or (isinstance(dim, (list, tuple)) and not dim):
        return list(range(rank))
    return sorted({shapes.dim_number(d, rank, op) for d in (dim if isinstance(dim, (list, tuple)) else [dim])})


def reduce(
    tracer: Tracer, kind: str, x: TileTensor, dim: Any, keepdim: bool = False, dtype: torch.dtype | None = None
) -> TileTensor:
    """`kind` over `dim`, accumulated in float32 for half precision; the result has `dtype` (default: that of x)."""
    result = dtype or x.dtype
    dims = dim_list(x, dim, kind)
    current = cast(tracer, x, torch.float32 if result in _HALF else result)
    for d in reversed(dims):
        current = jagged.filled(tracer, current, d, identity(kind, current.dtype))
        value = tracer.value(current)
        rest = value.dims[:d] + value.dims[d + 1 :]
        current = tracer.emit(ir.Reduce(kind=kind, dim=d, inputs=(value,)), rest, value.dtype)
    current = cast(tracer, current, result)
    return _keep(current, dims) if keepdim else current


def _keep(x: TileTensor, dims: Sequence[int]) -> TileTensor:
    for d in dims:
        x = x.unsqueeze(d)
    return x


def count(tracer: Tracer, x: TileTensor, dims: Sequence[int], keepdim: bool) -> Any:
    """How many real elements the dims hold: a partial tile counts what lies inside its range, a jagged one each row."""
    total: Size = 1
    rows = None
    if any(jagged.along(tracer, x, d) for d in dims):
        rows = jagged.inside(tracer, tracer.value(x).dims)
    for d in dims:
        if rows is None or shapes.is_one(tracer.value(rows).shape[d]):
            total = total * shapes.dim_extent(tracer.value(x).dims[d])
    number = tracer.env.sym(int(total) if isinstance(total, sympy.Integer) else total)
    return number if rows is None else reduce(tracer, "sum", rows, dims, keepdim, torch.int32) * number


def wide_dtype(dtype: torch.dtype) -> torch.dtype:
    """The dtype in which half precision accumulates; others as they are."""
    return torch.float32 if dtype in _HALF else dtype


def _accumulation_dtype(dtype: torch.dtype, wanted: torch.dtype | None) -> torch.dtype:
    if wanted is not None:
        return wanted
    return dtype if dtype.is_floating_point else torch.int64


@handles(aten.sum.default, aten.sum.dim_IntList)
def _sum(tracer: Tracer, x: TileTensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> TileTensor:
    return reduce(tracer, "sum", x, dim, keepdim, _accumulation_dtype(x.dtype, dtype))


@handles(aten.prod.default)
def _prod_all(tracer: Tracer, x: TileTensor, *, dtype: Any = None) -> TileTensor:
    return reduce(tracer, "prod", x, None, False, _accumulation_dtype(x.dtype, dtype))


@handles(aten.prod.dim_int)
def _prod(tracer: Tracer, x: TileTensor, dim: int, keepdim: bool = False, *, dtype: Any = None) -> TileTensor:
    return reduce(tracer, "prod", x, dim, keepdim, _accumulation_dtype(x.dtype, dtype))


@handles(aten.mean.default, aten.mean.dim)
def _mean(tracer: Tracer, x: TileTensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> TileTensor:
    result = dtype or x.dtype
    if not result.is_floating_point:
        raise exc.DtypeMismatch(
            op="mean", problem=f"the input is {x.dtype}", instead="convert it with .to(torch.float32)",
            location=location.here(),
        )  # fmt: skip
    wide = torch.float32 if result in _HALF else result
    total = reduce(tracer, "sum", cast(tracer, x, wide), dim, keepdim)
    return cast(tracer, total / count(tracer, x, dim_list(x, dim, "mean"), keepdim), result)


@handles(aten.amax.default)
def _amax(tracer: Tracer, x: TileTensor, dim: Any = (), keepdim: bool = False) -> TileTensor:
    return reduce(tracer, "max", x, dim, keepdim)


@handles(aten.amin.default)
def _amin(tracer: Tracer, x: TileTensor, dim: Any = (), keepdim: bool = False) -> TileTensor:
    return reduce(tracer, "min", x, dim, keepdim)


@handles(aten.max.default)
def _max(tracer: Tracer, x: TileTensor) -> TileTensor:
    return reduce(tracer, "max", x, None)


@handles(aten.min.default)
def _min(tracer: Tracer, x: TileTensor) -> TileTensor:
    return reduce(tracer, "min", x, None)


@handles(aten.max.dim)
def _max_dim(tracer: Tracer, x: TileTensor, dim: int, keepdim: bool = False) -> tuple[TileTensor, TileTensor]:
    return reduce(tracer, "max", x, dim, keepdim), arg_reduce(tracer, "argmax", x, dim, keepdim)


@handles(aten.min.dim)
def _min_dim(tracer: Tracer, x: TileTensor, dim: int, keepdim: bool = False) -> tuple[TileTensor, TileTensor]:
    return reduce(tracer, "min", x, dim, keepdim), arg_reduce(tracer, "argmin", x, dim, keepdim)


def arg_reduce(tracer: Tracer, kind: str, x: TileTensor, dim: int | None, keepdim: bool) -> TileTensor:
    """The position of the first extreme element along `dim` (int64); over all elements where `dim` is None."""
    rank = x.dim()
    if dim is None and rank > 1:
        return _arg_over_all(tracer, kind, x, keepdim)
    d = shapes.dim_number(dim or 0, rank, kind)
    if rank == 0:
        return cast(tracer, tracer.full((), 0, torch.int32), torch.int64)
    wide = x if x.dtype not in (*_HALF, torch.bool) else cast(tracer, x, torch.float32)
    wide = jagged.filled(tracer, wide, d, identity(kind, wide.dtype))
    value = tracer.value(wide)
    rest = value.dims[:d] + value.dims[d + 1 :]
    result = tracer.emit(ir.Reduce(kind=kind, dim=d, inputs=(value,)), rest, torch.int32)
    result = cast(tracer, result, torch.int64)
    return _keep(result, [d]) if keepdim else result


def _better(compare: Callable[..., Any]) -> Callable[..., Any]:
    """Combines (value, position) pairs: the better value, NaN above all, the first of equals."""

    def combine(a: Any, i: Any, b: Any, j: Any) -> Any:
        tie = ((a == b) | ((a != a) & (b != b))) & (j < i)
        right = compare(b, a) | ((b != b) & (a == a)) | tie
        return torch.where(right, b, a), torch.where(right, j, i)

    return combine


_BETTER = {"argmax": _better(torch.gt), "argmin": _better(torch.lt)}


def _arg_over_all(tracer: Tracer, kind: str, x: TileTensor, keepdim: bool) -> TileTensor:
    """The flat position of the first extreme element; a partial tile counts as large as it is."""
    wide = cast(tracer, x, torch.float32) if x.dtype in (*_HALF, torch.bool) else x
    position: Any = 0
    stride: Size = 1
    for d, dim in reversed(list(enumerate(tracer.value(x).dims))):
        jagged.refuse(tracer, x, d, f"{kind} of all elements")
        lanes = along(tracer.emit(ir.Iota(start=0, step=1), (dim,), torch.int32), x.dim(), d)
        position = position + lanes * tracer.env.sym(stride)
        stride = stride * shapes.dim_extent(dim)
    fills = (identity(kind, wide.dtype), 2**31 - 1)
    _, found = reduce_with(tracer, _BETTER[kind], (wide, cast(tracer, position, torch.int32)), None, fills, keepdim)
    return cast(tracer, found, torch.int64)


@handles(aten.argmax.default)
def _argmax(tracer: Tracer, x: TileTensor, dim: int | None = None, keepdim: bool = False) -> TileTensor:
    return arg_reduce(tracer, "argmax", x, dim, keepdim)


@handles(aten.argmin.default)
def _argmin(tracer: Tracer, x: TileTensor, dim: int | None = None, keepdim: bool = False) -> TileTensor:
    return arg_reduce(tracer, "argmin", x, dim, keepdim)


def _as_flags(tracer: Tracer, x: TileTensor) -> TileTensor:
    return cast(tracer, x if x.dtype is torch.bool else x != 0, torch.int32)


@handles(aten.any)
def _any(tracer: Tracer, x: TileTensor, dim: Any = None, keepdim: bool = False) -> TileTensor:
    # not `!= 0`: of no elements the maximum is the lowest number
    return reduce(tracer, "max", _as_flags(tracer, x), dim, keepdim) > 0


@handles(aten.all)
def _all(tracer: Tracer, x: TileTensor, dim: Any = None, keepdim: bool = False) -> TileTensor:
    return reduce(tracer, "min", _as_flags(tracer, x), dim, keepdim) != 0


def _moments(
    tracer: Tracer, x: TileTensor, dim: Any, correction: float, keepdim: bool
) -> tuple[TileTensor, TileTensor]:
    """Two-pass variance and mean in float32 (float64 for float64)."""
    dims = dim_list(x, dim, "var")
    wide = cast(tracer, x, torch.float32 if x.dtype in _HALF else x.dtype)
    mean = reduce(tracer, "sum", wide, dims, True) / count(tracer, x, dims, True)
    centred = wide - mean
    divisor = count(tracer, x, dims, keepdim) - correction
    if isinstance(divisor, (int, float)):
        divisor = max(divisor, 0)
    elif isinstance(divisor, TileTensor):
        divisor = divisor.clamp(min=0)
    total = reduce(tracer, "sum", centred * centred, dims, keepdim)
    variance = total / divisor
    if not keepdim:
        for d in reversed(dims):
            mean = mean.squeeze(d)
    return cast(tracer, variance, x.dtype), cast(tracer, mean, x.dtype)


@handles(aten.var.correction)
def _var(
    tracer: Tracer, x: TileTensor, dim: Any = None, *, correction: Any = None, keepdim: bool = False
) -> TileTensor:
    return _moments(tracer, x, dim, 1 if correction is None else correction, keepdim)[0]


@handles(aten.var_mean.correction)
def _var_mean(
    tracer: Tracer, x: TileTensor, dim: Any = None, *, correction: Any = None, keepdim: bool = False
) -> tuple[TileTensor, TileTensor]:
    return _moments(tracer, x, dim, 1 if correction is None else correction, keepdim)


@handles(aten.std.correction)
def _std(
    tracer: Tracer, x: TileTensor, dim: Any = None, *, correction: Any = None, keepdim: bool = False
) -> TileTensor:
    return _moments(tracer, x, dim, 1 if correction is None else correction, keepdim)[0].sqrt()
