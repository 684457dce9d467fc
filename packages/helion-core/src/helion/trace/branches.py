"""Device branches: both sides are traced into `ir.If`, whose results are the variables on which they differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .. import ir, location
from ..frontend.control import Undefined
from ..frontend.engine import Body
from ..ir import Block, Dim, Value
from . import carry
from .carry import Carried
from .conditions import as_condition
from .values import TileTensor

if TYPE_CHECKING:
    from .tracer import Tracer


def branch(
    tracer: Tracer, test: Any, then: Body, other: Body, names: Sequence[str], values: Sequence[Any], statement: str
) -> Sequence[Any]:
    """Traces `if test` for a condition on the device; returns the variables after it."""
    where = location.here()
    condition = tracer.value(as_condition(tracer, test, statement))
    carried = Carried.take_apart(names, values)
    blocks = [Block(parent=tracer.block), Block(parent=tracer.block)]
    (first, kept_first, updated_first), (second, kept_second, updated_second) = (
        _trace(tracer, block, body, carried) for block, body in zip(blocks, (then, other), strict=True)
    )
    for leaf in (*updated_first, *updated_second):
        tracer.poison(leaf)
    ends = first, second
    # both sides must be built alike; a name without a value before may become a tree on both
    shape = Carried.take_apart(names, ends[0])
    left, right = shape.leaves, shape.leaves_of(ends[1], where)
    results: list[Any] = []
    merged: list[int] = []
    for k, name in enumerate(shape.owners):
        a, b = left[k], right[k]
        if carry.same(tracer, a, b):
            results.append(a)
        elif isinstance(a, Undefined) or isinstance(b, Undefined):
            results.append(Undefined(name))
        else:
            left[k], right[k] = _unify(tracer, blocks, name, a, b, where)
            merged.append(k)
            results.append(None)
    for block, leaves in zip(blocks, (left, right), strict=True):
        block.yields = [tracer.value(leaves[k]) for k in merged]
    op = ir.If(then=blocks[0], orelse=blocks[1], inputs=(condition,))
    sides = zip(merged, blocks[0].yields, blocks[1].yields, strict=True)
    op.results = tuple(_joined(a, b, shape.owners[k]) for k, a, b in sides)
    tracer.record(op)
    for k, result in zip(merged, op.results, strict=True):
        results[k] = tracer.wrap(result)
    final = shape.put_together(results)
    return [
        carry.write_back(old, new) if a and b else new
        for old, new, a, b in zip(values, final, kept_first, kept_second, strict=True)
    ]


def _trace(
    tracer: Tracer, block: Block, body: Body, carried: Carried
) -> tuple[Sequence[Any], list[bool], list[TileTensor]]:
    """One side: what its variables hold at its end, which of them are still the same object, and the leaves that it
    updated in place.

    Device values are wrapped anew and containers copied, so that in-place changes stay on that side.
    """
    outer, tracer.block = tracer.block, block
    try:
        leaves = [tracer.wrap(tracer.value(v)) if isinstance(v, TileTensor) else v for v in carried.leaves]
        entering = carried.put_together(leaves)
        ends = body(*entering)
        pairs = zip(carried.leaves, leaves, strict=True)
        updated = [before for before, inside in pairs if isinstance(inside, TileTensor) and inside.updated]
        return ends, [a is b for a, b in zip(entering, ends, strict=True)], updated
    finally:
        tracer.block = outer


def _unify(
    tracer: Tracer, blocks: Sequence[Block], name: str, a: Any, b: Any, where: location.Location | None
) -> tuple[TileTensor, TileTensor]:
    """The two sides of one variable as device values of the same dtype and shape."""
    if carry.is_number(a) and carry.is_number(b):
        dtype = carry.number_dtype(tracer, a, b)
        return _full_in(tracer, blocks[0], (), a, dtype), _full_in(tracer, blocks[1], (), b, dtype)
    if isinstance(a, TileTensor) and carry.is_number(b) and carry.fits(b, a.value.dtype):
        return a, _full_in(tracer, blocks[1], a.shape, b, a.value.dtype)
    if isinstance(b, TileTensor) and carry.is_number(a) and carry.fits(a, b.value.dtype):
        return _full_in(tracer, blocks[0], b.shape, a, b.value.dtype), b
    if isinstance(a, TileTensor) and isinstance(b, TileTensor) and carry.agree(a, b):
        return a, b
    raise carry.mismatch(tracer, "after the branches,", name, a, b, where)


def _full_in(tracer: Tracer, block: Block, shape: Any, number: Any, dtype: Any) -> TileTensor:
    outer, tracer.block = tracer.block, block
    try:
        return tracer.full(shape, number, dtype)
    finally:
        tracer.block = outer


def _joined(a: Value, b: Value, hint: str) -> Value:
    dims = tuple(Dim(x.size, x.ranges | y.ranges) for x, y in zip(a.dims, b.dims, strict=True))
    return Value(dims, a.dtype, hint)
