"""Looking things up: embedding rows of host tables, one_hot, isin, bucketize and searchsorted; by comparing with
every entry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from ... import exc, location
from .. import indexing, shapes
from ..symbols import expr_of
from ..values import TileTensor
from .movement import index_select, lanes
from .pointwise import cast
from .registry import aten, handles

if TYPE_CHECKING:
    from ..tracer import Tracer


def loaded(tracer: Tracer, x: Any) -> TileTensor:
    """A host tensor in full, or the device value itself."""
    return x if isinstance(x, TileTensor) else indexing.load(tracer, x, ())


def embedding(tracer: Tracer, index: TileTensor, weight: Any, *args: Any, **kwargs: Any) -> TileTensor:
    """`torch.nn.functional.embedding`: rows of a table on the host (a gather from memory) or on the device."""
    if weight.dim() != 2:
        shape = tracer.show([expr_of(s) for s in weight.size()])
        raise exc.ShapeMismatch(
            op="embedding", left=shape, right="[rows, width]", relation="agree", detail=" (the table)",
            help="give a table of two dimensions",
        )  # fmt: skip
    if isinstance(weight, TileTensor):
        rows = index_select(tracer, weight, 0, index.reshape([-1]))
        return rows.reshape([*index.shape, weight.shape[1]])
    return indexing.load(tracer, weight, (index, slice(None)))


@handles(aten.embedding.default)
def _embedding(tracer: Tracer, weight: Any, index: TileTensor, *args: Any) -> TileTensor:
    return embedding(tracer, index, weight)


def host_index_select(tracer: Tracer, x: Any, dim: int, index: Any) -> TileTensor:
    """`torch.index_select` of a device value, or of a host tensor by a gather from memory."""
    if isinstance(x, TileTensor):
        return index_select(tracer, x, dim, index)
    d = shapes.dim_number(dim, x.dim(), "index_select")
    return indexing.load(tracer, x, (*[slice(None)] * d, index))


def one_hot(tracer: Tracer, x: TileTensor, num_classes: int = -1) -> TileTensor:
    """`torch.nn.functional.one_hot` with a given number of classes."""
    if num_classes == -1:
        raise exc.DataDependentShape(op="one_hot without num_classes", location=location.here())
    return cast(tracer, x.unsqueeze(-1) == lanes(tracer, expr_of(num_classes)), torch.int64)


@handles(aten.isin.Tensor_Tensor)
def _isin(
    tracer: Tracer, x: TileTensor, tests: Any, *, assume_unique: bool = False, invert: bool = False
) -> TileTensor:
    found = (x.unsqueeze(-1) == loaded(tracer, tests).reshape([-1])).any(-1)
    return torch.logical_not(found) if invert else found


@handles(aten.isin.Tensor_Scalar)
def _isin_scalar(tracer: Tracer, x: TileTensor, test: Any, *, invert: bool = False, **_: Any) -> TileTensor:
    return x != test if invert else x == test


def isin(tracer: Tracer, x: Any, tests: Any, *, assume_unique: bool = False, invert: bool = False) -> TileTensor:
    """`torch.isin` of a device value in a host or device tensor, or a number."""
    if not isinstance(tests, torch.Tensor):
        return _isin_scalar(tracer, x, tests, invert=invert)
    return _isin(tracer, loaded(tracer, x), tests, invert=invert)


def searchsorted(
    tracer: Tracer, boundaries: Any, x: Any, *, out_int32: bool = False, right: bool = False, side: str | None = None,
    sorter: Any = None,
) -> TileTensor:  # fmt: skip
    """`torch.searchsorted` for sorted boundaries, 1-D or in rows like x: how many lie below each element."""
    if sorter is not None:
        raise exc.UnsupportedOperation(
            op="searchsorted with a sorter",
            reason="",
            instead="sort the boundaries on the host",
            location=location.here(),
        )
    edges = loaded(tracer, boundaries)
    x = x if isinstance(x, TileTensor) else tracer.full((), x, edges.dtype)
    right = right or side == "right"
    edges = edges if edges.dim() == 1 else edges.unsqueeze(-2)
    below = edges <= x.unsqueeze(-1) if right else edges < x.unsqueeze(-1)
    return below.sum(-1).to(torch.int32 if out_int32 else torch.int64)


def bucketize(tracer: Tracer, x: Any, boundaries: Any, *, out_int32: bool = False, right: bool = False) -> TileTensor:
    """`torch.bucketize`."""
    return searchsorted(tracer, boundaries, x, out_int32=out_int32, right=right)


FUNCTIONS = {
    torch.nn.functional.embedding: embedding, torch.embedding: _embedding, torch.index_select: host_index_select,
    torch.Tensor.index_select: host_index_select, torch.nn.functional.one_hot: one_hot, torch.isin: isin,
    torch.searchsorted: searchsorted, torch.bucketize: bucketize,
}  # fmt: skip
