"""What is settled once a dynamic kernel is traced: equal sizes written alike, 32 or 64 bits, padded lanes."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

import sympy
from torch.utils._sympy.functions import CeilDiv, FloorDiv

from .. import ir
from ..ir import Dim, HostTensor, Program, Range, Size, Value
from ..lower.layout import INT32_MAX, next_power_of_two
from ..lower.rolling import rollable

if TYPE_CHECKING:
    from .tracer import Tracer

_MARGIN = 2**21  # more lanes than a tile has: indices behind the end of a dimension must not overflow either


def settle(tracer: Tracer, program: Program) -> tuple[sympy.Basic, ...]:
    """Completes `program`; returns conditions on the sizes of later calls, besides the guards of the trace."""
    return (*_offsets(tracer, program), *_lanes(tracer, program))


def _number(tracer: Tracer, size: Any) -> int:
    return int(sympy.sympify(size).xreplace(tracer.actual))


def _offsets(tracer: Tracer, program: Program) -> Iterator[sympy.Basic]:
    """Whether offsets fit 32 bits, for all tensors together."""
    reaches = [reach for t in program.tensors if not _is_static(t) for reach in _reaches(t, program)]
    fit = sympy.And(*(reach <= INT32_MAX - _MARGIN for reach in reaches))
    program.wide = any(_number(tracer, reach) > INT32_MAX - _MARGIN for reach in reaches)
    if fit != sympy.true:
        yield sympy.Not(fit, evaluate=False) if program.wide else fit


def _reaches(tensor: HostTensor, program: Program) -> Iterator[sympy.Expr]:
    """The offset of the last element; where the tensor's sizes depend on block sizes, for the least and the largest."""
    steps = zip(tensor.sizes, tensor.strides, strict=True)
    reach = sympy.sympify(sum((size - 1) * stride for size, stride in steps))
    blocks = {block.symbol: block for block in program.blocks if reach.has(block.symbol)}
    if not blocks:
        yield reach
        return
    small = reach.xreplace({symbol: sympy.Integer(1) for symbol in blocks})
    yield small

    if not _shrinks(reach, blocks):
        yield reach.xreplace({s: sympy.Integer(b.maximum or _MARGIN // 2) for s, b in blocks.items()})


def _shrinks(size: sympy.Expr, blocks: Collection[sympy.Symbol]) -> bool:
    """Whether block sizes stand below fractions only, as in the number of tiles."""
    if not size.has(*blocks):
        return True
    if isinstance(size, (FloorDiv, CeilDiv)):
        above, below = size.args
        return below in blocks and _is_ceiling(above, below)
    return isinstance(size, (sympy.Add, sympy.Mul)) and all(_shrinks(a, blocks) for a in size.args)


def _is_ceiling(above: Any, below: Any) -> bool:
    """Whether `above` does not grow with the divisor, or by what rounding up adds (`n + block - 1`)."""
    return not (above - below).has(below) or not above.has(below)


def _is_static(tensor: HostTensor) -> bool:
    return all(isinstance(n, int) for n in (*tensor.sizes, *tensor.strides))


def _lanes(tracer: Tracer, program: Program) -> Iterator[sympy.Basic]:
    """Lanes of dimensions that are taken in whole where no config can take them in parts: a power of two each."""
    divided = set(rollable(program))
    dims = [d for op in program.ops() for d in ir.dims_of(op)]
    whole = [d.size for d in dims if not d.ranges or not d.ranges <= divided]
    for size in dict.fromkeys(whole):
        if isinstance(size, int) or not size.free_symbols <= tracer.host_scalars.keys():
            continue
        lanes = program.padded[size] = max(next_power_of_two(_number(tracer, size)), program.min_lanes.get(size, 1))
        yield size <= lanes  # type: ignore[operator]
        if lanes > 1 and lanes > program.min_lanes.get(size, 1):
            yield size > lanes // 2  # type: ignore[operator]


def unify(tracer: Tracer) -> None:
    """Writes one symbol, or the number, in place of all that were found equal, so that equal sizes are equal."""
    if tracer.env.replacements and tracer.env.size_symbols:
        _Rewriter(tracer).all()


class _Rewriter:
    """Replaces symbols in everything that was traced."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer, self._env = tracer, tracer.env
        self._ranges: set[Range] = set()

    def all(self) -> None:
        tracer = self._tracer
        for tensor in tracer.tensors.values():
            tensor.sizes, tensor.strides = self.value(tensor.sizes), self.value(tensor.strides)
        for block in tracer.blocks:
            block.extent = self.value(block.extent)
        for phase in tracer.phases:
            for r in phase.ranges:
                self._range(r)
            for op in phase.body.walk():
                self._op(op)

    def _op(self, op: ir.Op) -> None:
        for f in dataclasses.fields(op):
            value = getattr(op, f.name)
            if not isinstance(value, ir.Block) and f.name not in ("inputs", "results", "line"):
                setattr(op, f.name, self.value(value))
        for inner in op.blocks:
            self._dims(inner.params)
        self._dims(op.results)

    def _dims(self, values: Any) -> None:
        for value in values:
            assert isinstance(value, Value)
            value.dims = self.value(value.dims)

    def size(self, size: Size) -> Size:
        found = self._env.replace(size) if isinstance(size, sympy.Expr) else size
        return int(found) if isinstance(found, sympy.Integer) else found  # type: ignore[return-value]

    def _range(self, r: Range) -> Range:
        if r not in self._ranges:
            self._ranges.add(r)
            r.begin, r.end, r.width, r.base = map(self.size, (r.begin, r.end, r.width, r.base))
            r.extra_ends = tuple(map(self.size, r.extra_ends))
            for other in (r.parent, r.part_of):
                if other is not None:
                    self._range(other)
        return r

    def value(self, value: Any) -> Any:
        """`value` with sizes replaced, inside tuples too; ranges are changed where they stand."""
        match value:
            case sympy.Expr():
                return self.size(value)
            case Range():
                return self._range(value)
            case Dim(size, ranges):
                return Dim(self.size(size), frozenset(map(self._range, ranges)))
            case tuple() if hasattr(value, "_fields"):
                return type(value)(*map(self.value, value))
            case tuple():
                return tuple(map(self.value, value))
            case _:
                return value
