"""Tiles over rows of different length: the loop runs to the longest, every lane is masked by the length of its own row.

A range's own mask is one vector; here the mask depends on two dimensions, so it is made of ordinary operations: loads
and stores get it as an extra mask; reductions, products and sorts along the jagged dimension see the identity where
it is false.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from .. import exc, ir, location
from ..ir import Dim, Range
from ..language.loops import TileLoop
from .values import TileTensor

if TYPE_CHECKING:
    from .tracer import Tracer


class JaggedLoop(TileLoop):
    """A tile loop up to the longest of `lengths`."""

    lengths: TileTensor


def jagged_loop(tracer: Tracer, lengths: Any) -> JaggedLoop:
    """The loop for `hl.jagged_tile(lengths)`. Raises `InvalidArgument` unless that is a 1-D integer device value."""
    valid = isinstance(lengths, TileTensor) and lengths.dim() == 1 and not lengths.dtype.is_floating_point
    if not valid or lengths.dtype is torch.bool:
        raise exc.InvalidArgument(
            what="hl.jagged_tile of " + tracer.describe(lengths), location=location.here(),
            instead="give a 1-D integer value of the device: the length of each row",
        )  # fmt: skip
    longest = tracer.size_of(lengths.amax())
    result = JaggedLoop("hl.jagged_tile", [0], [longest], [tracer.new_block(None)], single=True)
    result.lengths = lengths
    return result


def _row_dim(tracer: Tracer, dims: Sequence[Dim], r: Range, at: int) -> int | None:
    """The dimension of `dims` along which the lengths of `r` run."""
    lengths = tracer.jagged[r]
    (row,) = lengths.value.dims
    for k, dim in enumerate(dims):
        if k != at and row.ranges and row.ranges <= dim.ranges:
            return k
    return None


def inside(tracer: Tracer, dims: Sequence[Dim]) -> TileTensor | None:
    """A bool value over `dims`, true where every jagged index lies within its row; None where nothing is jagged."""
    result: TileTensor | None = None
    for at, dim in enumerate(dims):
        for r in dim.ranges:
            row = _row_dim(tracer, dims, r, at) if r in tracer.jagged else None
            if row is None:
                continue
            index = tracer.emit(ir.Indices(range=r), (Dim(r.width, frozenset({r})),), torch.int32)
            mask = _along(index, at, len(dims)) < _along(tracer.jagged[r], row, len(dims))
            result = mask if result is None else result & mask
    return result


def _along(vector: TileTensor, at: int, rank: int) -> TileTensor:
    """A 1-D value placed at dimension `at` of `rank`."""
    for _ in range(at):
        vector = vector.unsqueeze(0)
    for _ in range(rank - at - 1):
        vector = vector.unsqueeze(-1)
    return vector


def along(tracer: Tracer, x: TileTensor, dim: int) -> bool:
    """Whether `dim` of `x` runs over rows of different length."""
    return bool(tracer.jagged) and any(r in tracer.jagged for r in tracer.value(x).dims[dim].ranges)


def filled(tracer: Tracer, x: TileTensor, dim: int, fill: int | float) -> TileTensor:
    """`x` with `fill` in the lanes beyond each row's length, where `dim` is jagged."""
    if not along(tracer, x, dim):
        return x
    mask = inside(tracer, tracer.value(x).dims)
    if mask is None:
        raise exc.UnsupportedOperation(
            op="a reduction along a jagged tile", reason=" of a value without a dimension for the rows",
            instead="which elements count depends on the row: load with the tile of the rows, too",
            location=location.here(),
        )  # fmt: skip
    return torch.where(mask, x, tracer.full((), fill, x.dtype))


def refuse(tracer: Tracer, x: TileTensor, dim: int, op: str) -> None:
    """For what has no meaning where each row has a length of its own."""
    if along(tracer, x, dim):
        raise exc.UnsupportedOperation(
            op=op, reason=" along a jagged tile, whose rows differ in length", location=location.here(),
            instead="loop over one row at a time, with hl.grid over the rows and hl.tile(length)",
        )  # fmt: skip
