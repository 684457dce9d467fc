"""Device loops: one `ir.For` per dimension of a tile loop, and `ir.While`.

The body is traced with parameters for what it carries. Where the trace shows that a Python number changes, or that a
carried value runs over more ranges than it started with, it is discarded and made again with that known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from typing import TYPE_CHECKING, Any

import torch

from .. import exc, ir, location
from ..frontend.control import Undefined
from ..frontend.engine import Body
from ..ir import Block, Dim, Range, Value
from ..language.loops import TileLoop
from . import carry
from .carry import Carried
from .conditions import as_condition
from .ranges import item
from .values import TileTensor

if TYPE_CHECKING:
    from .tracer import Tracer

_ATTEMPTS = 8  # each attempt promotes a number or widens a value; kernels need two or three


def device_loop(
    tracer: Tracer, loop: TileLoop, ranges: Sequence[Range], body: Body, names: Sequence[str], values: Sequence[Any]
) -> Sequence[Any]:
    """Traces a nested tile loop; returns the carried values after it."""
    return _nest(tracer, loop, ranges, 0, body, names, values)


def _nest(
    tracer: Tracer, loop: TileLoop, ranges: Sequence[Range], depth: int, body: Body, names: Sequence[str],
    values: Sequence[Any],
) -> Sequence[Any]:  # fmt: skip
    if depth == len(ranges):
        return body(item(tracer, loop, ranges), *values)
    number, tracer.loops = tracer.loops, tracer.loops + 1

    def run(params: Sequence[Any]) -> Sequence[Any]:
        return _nest(tracer, loop, ranges, depth + 1, body, names, params)

    def build(inits: list[Value], inner: Block, _: Block | None) -> ir.Op:
        nest = len(ranges) if depth == 0 else 1
        return ir.For(range=ranges[depth], body=inner, number=number, nest=nest, inputs=tuple(inits))

    return _carry_through(tracer, run, None, names, values, build, ranges[depth])


def while_loop(
    tracer: Tracer, test: Callable[..., Any], body: Body, names: Sequence[str], values: Sequence[Any]
) -> Sequence[Any]:
    """Traces `while test: body` for a condition on the device."""

    def build(inits: list[Value], inner: Block, condition: Block | None) -> ir.Op:
        assert condition is not None
        return ir.While(condition=condition, body=inner, inputs=tuple(inits))

    return _carry_through(tracer, lambda params: body(*params), test, names, values, build)


def _carry_through(
    tracer: Tracer, run: Callable[[Sequence[Any]], Sequence[Any]], test: Callable[..., Any] | None,
    names: Sequence[str], values: Sequence[Any],
    build: Callable[[list[Value], Block, Block | None], ir.Op], own: Range | None = None,
) -> Sequence[Any]:  # fmt: skip
    """Traces a loop body until what goes in and what comes out agree; records the loop and wraps its results.

    What is carried does not run over the loop's `own` range: a partial last tile replaces the lanes that it has.
    """
    where = location.here()
    carried = Carried.take_apart(names, values)
    inits = list(carried.leaves)
    dims: dict[int, tuple[Dim, ...]] = {}
    for _ in range(_ATTEMPTS):
        mark = tracer.mark()
        attempt = _Attempt(tracer, carried, inits, dims)
        condition = attempt.trace_condition(test) if test is not None else None
        finals = attempt.trace_body(run, where)
        entries = dict(zip(attempt.slots, attempt.body.params, strict=True))
        if _settle(tracer, carried, inits, dims, attempt.params, entries, finals, where, {own}):
            break
        tracer.rewind(mark)
    else:
        raise exc.InternalError(text="a loop does not settle on the types of what it carries", location=where)
    attempt.body.yields = [tracer.value(finals[k]) for k in attempt.slots]
    op = build([tracer.value(inits[k]) for k in attempt.slots], attempt.body, condition)
    op.results = tuple(Value(p.dims, p.dtype, p.hint) for p in attempt.body.params)
    tracer.record(op)
    for k, result in zip(attempt.slots, op.results, strict=True):
        if attempt.params[k].updated:
            tracer.poison(inits[k])
        finals[k] = tracer.wrap(result)
    results = carried.put_together(finals)
    return [
        carry.write_back(old, new) if in_place else new
        for old, new, in_place in zip(values, results, attempt.in_place, strict=True)
    ]


class _Attempt:
    """One trace of a loop body: its block, and parameters for the leaves that are device values."""

    def __init__(self, tracer: Tracer, carried: Carried, inits: list[Any], dims: dict[int, tuple[Dim, ...]]) -> None:
        self.tracer, self.carried, self.dims = tracer, carried, dims
        self.outer = tracer.block
        self.slots = [k for k, leaf in enumerate(inits) if isinstance(leaf, TileTensor)]
        self.inits = inits
        self.body = Block(parent=self.outer)
        self.params: list[Any] = []
        self.in_place: list[bool] = []  # per name: whether the body left the same object, perhaps changed inside

    def _parameters(self, block: Block) -> list[Any]:
        """Leaves as the block sees them; `block` becomes the current one."""
        tracer, leaves = self.tracer, list(self.inits)
        tracer.block = block
        for k in self.slots:
            init = tracer.value(self.inits[k])
            param = Value(self.dims.get(k, init.dims), init.dtype, self.carried.owners[k], block)
            block.params.append(param)
            if init in tracer.indices:
                tracer.indices.add(param)
            leaves[k] = tracer.wrap(param)
        return leaves

    def trace_condition(self, test: Callable[..., Any]) -> Block:
        block = Block(parent=self.outer)
        leaves = self._parameters(block)
        try:
            condition = as_condition(self.tracer, test(*self.carried.put_together(leaves)), "while")
            block.yields = [self.tracer.value(condition)]
        finally:
            self.tracer.block = self.outer
        return block

    def trace_body(self, run: Callable[[Sequence[Any]], Sequence[Any]], where: location.Location | None) -> list[Any]:
        """Runs the body; returns the leaves it leaves behind, cast to what their slots carry."""
        self.params = self._parameters(self.body)
        try:
            entering = self.carried.put_together(self.params)
            leaving = run(entering)
            self.in_place = [a is b for a, b in zip(entering, leaving, strict=True)]
            finals = self.carried.leaves_of(leaving, where)
            for k in self.slots:
                dtype = self.params[k].value.dtype
                if carry.is_number(finals[k]) and carry.fits(finals[k], dtype):
                    finals[k] = self.tracer.full(self.params[k].shape, finals[k], dtype)
            return finals
        finally:
            self.tracer.block = self.outer


def _settle(
    tracer: Tracer, carried: Carried, inits: list[Any], dims: dict[int, tuple[Dim, ...]], params: list[Any],
    entries: dict[int, Value], finals: list[Any], where: location.Location | None, own: Set[Range | None],
) -> bool:  # fmt: skip
    """Whether the attempt stands. Promotes changed numbers and indices in `inits`, and widens `dims`, where not."""
    settled = True
    for k, name in enumerate(carried.owners):
        before, after = params[k], finals[k]
        if isinstance(before, Undefined):
            finals[k] = Undefined(name)
        elif k in entries and isinstance(after, TileTensor):
            if before.value in tracer.indices and after.dtype is torch.int64:
                inits[k] = inits[k].to(torch.int64)  # indices have 32 bits until they meet a number of 64
                settled = False
                continue
            if not carry.agree(before, after):
                raise carry.mismatch(tracer, "loop-carried", name, inits[k], after, where)
            entry, final = entries[k].dims, tracer.value(after).dims
            joined = tuple(Dim(p.size, p.ranges | (f.ranges - own)) for p, f in zip(entry, final, strict=True))
            if joined != entry:
                dims[k] = joined
                settled = False
        elif carry.same(tracer, before, after):
            continue
        elif carry.is_number(before) and (carry.is_number(after) or _is_scalar(after)):
            dtype = after.value.dtype if isinstance(after, TileTensor) else carry.number_dtype(tracer, before, after)
            inits[k] = tracer.full((), before, dtype)
            settled = False
        else:
            raise carry.mismatch(tracer, "loop-carried", name, before, after, where)
    return settled


def _is_scalar(value: Any) -> bool:
    return isinstance(value, TileTensor) and not value.value.dims
