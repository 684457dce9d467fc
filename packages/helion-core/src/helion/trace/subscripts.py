"""`x[index]` and `x[index] = value` in device code: loads and stores of host tensors, views of device values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from .. import exc, location
from . import shapes
from .constants import constant
from .indexing import load, store
from .operators.movement import index_by_value, select, slice_
from .values import Tile, TileTensor

if TYPE_CHECKING:
    from .tracer import Tracer


def getitem(tracer: Tracer, tensor: Any, index: Any) -> Any:
    if isinstance(tensor, Tile):
        raise exc.InvalidIndexing(
            what="a tile", instead="index its vector of indices: tile.index[...]", location=location.here()
        )
    if isinstance(tensor, TileTensor):
        result = subscript(tracer, tensor, index)
        tensor.share_with(result)
        return result
    return load(tracer, tensor, index)


def setitem(tracer: Tracer, tensor: Any, index: Any, value: Any) -> None:
    if isinstance(tensor, (TileTensor, Tile)):
        raise exc.DeviceTensorSubscriptAssignment(location=location.here())
    store(tracer, tensor, index, value)


def subscript(tracer: Tracer, x: TileTensor, index: Any) -> TileTensor:
    """`x[index]` of a device value: `:`, `None`, `...`, ints, constant slices and one integer tensor."""
    entries = list(index) if isinstance(index, (tuple, list)) else [index]
    rank = x.dim()
    given = sum(e is not None and e is not Ellipsis for e in entries)
    if given > rank:
        raise exc.RankMismatch(tensor="value", rank=shapes.dimensions(rank), given=given, location=location.here())
    missing = [slice(None)] * (rank - given)
    dots = [k for k, e in enumerate(entries) if e is Ellipsis]
    entries = entries[: dots[0]] + missing + entries[dots[0] + 1 :] if dots else entries + missing
    at = 0
    for entry in entries:
        if isinstance(entry, slice):
            entry = slice(*constant(tracer, [entry.start, entry.stop, entry.step]))
        entry = constant(tracer, entry)
        if entry is None:
            x, at = x.unsqueeze(at), at + 1
        elif isinstance(entry, slice):
            x, at = slice_(tracer, x, at, entry.start, entry.stop, 1 if entry.step is None else entry.step), at + 1
        elif isinstance(entry, TileTensor) and entry.dim() > 0:
            _check_index(entry)
            x, at = index_by_value(tracer, x, at, entry), at + entry.dim()
        elif isinstance(entry, TileTensor):
            x = select(tracer, x, at, tracer.symbol_of(entry))
        elif isinstance(entry, (int, torch.SymInt)) and not isinstance(entry, bool):
            x = select(tracer, x, at, entry)
        else:
            raise exc.InvalidIndexing(
                what=f"{tracer.describe(entry)} on a device value", location=location.here(),
                instead="a device value holds one tile only: index it with :, None, ints, constant slices or an "
                "integer value, and use tiles on host tensors",
            )  # fmt: skip
    return x


def _check_index(entry: TileTensor) -> None:
    if entry.dtype is torch.bool:
        raise exc.DataDependentShape(op="a boolean mask as an index", location=location.here())
    if entry.dtype.is_floating_point:
        raise exc.InvalidIndexing(
            what=f"a {entry.dtype} value", instead="use integers, such as x.to(torch.int64)", location=location.here()
        )
