"""The depth of a matrix product: a tile that runs over all of one operand must not leave out a part of the other.

A tile may be shorter than the dimension that it indexes, as tables that are larger than needed want it. In the depth of
a product of two tensors it is the mistake of shapes that do not multiply, which torch refuses, and which would drop
rows or columns here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import sympy

from ... import exc, ir, location
from ...ir import HostTensor, Range, Size, TileIndex, Value
from .. import shapes

if TYPE_CHECKING:
    from ..tracer import Tracer


class _Origin(NamedTuple):
    """Where a dimension of a value comes from: a tile of `range` along `dimension` of `tensor`."""

    range: Range
    tensor: HostTensor
    dimension: int

    @property
    def size(self) -> Size:
        return self.tensor.sizes[self.dimension]


def check(tracer: Tracer, left: Value, right: Value) -> None:
    """Raises `TileSizeMismatch` where a tile runs over the depth of one tensor and over a part of the other's."""
    a, b = _origin(left, len(left.dims) - 1), _origin(right, len(right.dims) - 2)
    if a is None or b is None or a.range is not b.range or a.range.begin != 0:
        return
    for whole, part in ((a, b), (b, a)):
        if _agree(tracer, whole.size, a.range.end) and not _agree(tracer, part.size, a.range.end):
            raise exc.TileSizeMismatch(
                tile=a.range.name, end=tracer.in_this_call(a.range.end), dim=part.dimension, tensor=part.tensor.name,
                size=tracer.in_this_call(part.size), location=location.here(),
                shape=tracer.show(list(map(tracer.in_this_call, part.tensor.sizes))),
            )  # fmt: skip


def _agree(tracer: Tracer, size: Size, end: Size) -> bool:
    """Whether the two are equal, for all calls of this trace alike."""
    if isinstance(size, int) and isinstance(end, int):
        return size == end
    if tracer.env.is_device(size) or tracer.env.is_device(end):
        return False
    return shapes.same(size, end) if tracer.agree(size, end) else not tracer.env.asks(sympy.Ne(size, end))


def _origin(value: Value, dim: int) -> _Origin | None:
    """The tile of a tensor of the host that `dim` of `value` is, through operations that take elements one by one."""
    op = next((op for op in reversed(value.block.ops) if value in op.results), None) if value.block else None
    if isinstance(op, ir.Load):
        dimensions = [entry for entry in op.index if not isinstance(entry, ir.NewAxis)]
        for k, entry in enumerate(dimensions):
            if isinstance(entry, TileIndex) and entry.dim == dim and entry.offset == 0:
                return _Origin(entry.range, op.tensor, k)
    elif isinstance(op, ir.Permute):
        return _origin(op.inputs[0], op.order[dim])
    elif isinstance(op, (ir.Cast, ir.Pointwise)) and len(op.inputs) == 1:
        return _origin(op.inputs[0], dim)
    return None
