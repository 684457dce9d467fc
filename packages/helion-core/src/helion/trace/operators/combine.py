"""Reductions and scans by a combine function written in Python, traced once into a block over scalars."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import sympy
import torch

from ... import exc, ir, location
from ...frontend.numbers import settled
from ...ir import Block, Value
from .. import jagged, shapes
from ..callees import callee
from ..values import TileTensor
from .broadcast import broadcast_values
from .pointwise import cast

if TYPE_CHECKING:
    from ..tracer import Tracer


def combine_block(tracer: Tracer, function: Callable[..., Any], inputs: Sequence[Value]) -> Block:
    """`function(left..., right...)` (or of two tuples) as a block of scalar operations."""
    block = Block()
    sides = [
        [Value((), v.dtype, f"{side}{n}" if len(inputs) > 1 else side, block) for n, v in enumerate(inputs)]
        for side in ("left", "right")
    ]
    block.params = [*sides[0], *sides[1]]
    outer, tracer.block = tracer.block, block
    try:
        left, right = ([tracer.wrap(v) for v in side] for side in sides)
        call = callee(tracer, function)
        if len(inputs) > 1 and not takes(function, 2 * len(inputs)):
            result = call(tuple(left), tuple(right))
        else:
            result = call(*left, *right)
        block.yields = [tracer.value(r) for r in _results(tracer, function, result, inputs)]
    finally:
        tracer.block = outer
    _check_closed(block)
    return block


def takes(function: Callable[..., Any], count: int) -> bool:
    """Whether `function` accepts `count` positional arguments."""
    try:
        inspect.signature(function).bind(*range(count))
    except (TypeError, ValueError):
        return False
    return True


def _results(tracer: Tracer, function: Any, result: Any, inputs: Sequence[Value]) -> list[TileTensor]:
    """What the function returned: one scalar per input, in the dtype of that input."""
    results = list(result) if isinstance(result, (tuple, list)) else [result]
    if len(results) != len(inputs):
        raise exc.ShapeMismatch(
            op=f"combine function `{getattr(function, '__name__', 'fn')}`", left=f"{len(inputs)} inputs",
            right=f"{len(results)} results", relation="agree", detail="", help="return one value per input",
            location=location.here(),
        )  # fmt: skip
    found = []
    for item, value in zip(results, inputs, strict=True):
        scalar = item if isinstance(item, TileTensor) else tracer.full((), item, value.dtype)
        found.append(cast(tracer, scalar, value.dtype))
    return found


_SCALAR_OPS = (ir.Pointwise, ir.Cast, ir.Full, ir.Scalar, ir.Bitcast)


def _check_closed(block: Block) -> None:
    """A combine function is a function of its own: elementwise, and using nothing of the kernel's."""
    for op in block.ops:
        open_sizes = any(isinstance(s, sympy.Basic) and s.free_symbols for s in ir.sizes_of(op))
        if open_sizes or not isinstance(op, _SCALAR_OPS):
            raise exc.UnsupportedOperation(
                op=f"`{op.name}` in a combine function",
                reason=": only elementwise operations on its arguments and constants fit",
                instead="pass what it needs as another input of the tuple, or apply it before or after",
            )  # fmt: skip


def scan(
    tracer: Tracer, function: Callable[..., Any], tensors: Sequence[TileTensor], dim: int, reverse: bool
) -> tuple[TileTensor, ...]:
    """Inclusive running results of all `tensors` at once."""
    values = broadcast_values(tracer, "associative_scan", tensors)
    d = shapes.dim_number(dim, len(values[0].dims), "associative_scan")
    if not values[0].dims:
        return tuple(map(tracer.wrap, values))
    if reverse:  # forwards, lanes beyond a row's end come last
        jagged.refuse(tracer, tracer.wrap(values[0]), d, "a reverse scan")
    body = combine_block(tracer, function, values)
    results = tuple(Value(v.dims, v.dtype) for v in values)
    tracer.record(ir.Scan(dim=d, reverse=reverse, kind=None, body=body, inputs=tuple(values), results=results))
    return tuple(map(tracer.wrap, results))


def _identity(tracer: Tracer, fill: Any, dtype: torch.dtype) -> int | float:
    """`fill` as the number that masked lanes of a `dtype` hold. Raises `InvalidArgument` unless they can."""
    number = settled(fill)
    if isinstance(number, (int, float)):
        low, high = (0, 1) if dtype is torch.bool else (-math.inf, math.inf)
        if not dtype.is_floating_point and dtype is not torch.bool:
            low, high = torch.iinfo(dtype).min, torch.iinfo(dtype).max
        if dtype.is_floating_point or (low <= number <= high and number == int(number)):
            return number
    raise exc.InvalidArgument(
        what=f"{tracer.describe(number)} as `other` of a reduction of {dtype}",
        instead=f"give a number that {dtype} holds: it stands for the lanes outside of tiles and dims",
    )


def reduce_with(
    tracer: Tracer, function: Callable[..., Any], tensors: Sequence[TileTensor], dim: int | None, fills: Sequence[Any],
    keep_dims: bool,
) -> tuple[TileTensor, ...]:  # fmt: skip
    """All `tensors` reduced at once over `dim` (None: over every dimension)."""
    values = broadcast_values(tracer, "reduce", tensors)
    fills = [_identity(tracer, fill, v.dtype) for fill, v in zip(fills, values, strict=True)]
    rank = len(values[0].dims)
    dims = range(rank) if dim is None else [shapes.dim_number(dim, rank, "reduce")]
    for d in sorted(dims, reverse=True) if rank else ():
        values = [tracer.value(jagged.filled(tracer, tracer.wrap(v), d, f)) for v, f in zip(values, fills, strict=True)]
        body = combine_block(tracer, function, values)
        rest = values[0].dims[:d] + values[0].dims[d + 1 :]
        results = tuple(Value(rest, v.dtype) for v in values)
        tracer.record(ir.Combine(dim=d, fills=tuple(fills), body=body, inputs=tuple(values), results=results))
        values = list(results)
    wrapped = [tracer.wrap(v) for v in values]
    if keep_dims:
        for d in dims if rank else ():
            wrapped = [w.unsqueeze(d) for w in wrapped]
    return tuple(wrapped)
