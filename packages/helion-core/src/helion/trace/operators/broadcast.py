"""Device values brought to one shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from ... import exc, ir, location
from ...ir import Value
from .. import shapes
from ..values import TileTensor

if TYPE_CHECKING:
    from ..tracer import Tracer


def along(x: TileTensor, rank: int, dim: int) -> TileTensor:
    """A vector as dimension `dim` of a value of `rank` dims."""
    for k in range(rank):
        if k != dim:
            x = x.unsqueeze(k)
    return x


def broadcast_values(tracer: Tracer, op: str, tensors: Any) -> list[Value]:
    """The inputs broadcast to one shape."""
    listed = list(tensors) if isinstance(tensors, (tuple, list)) else [tensors]
    for tensor in listed:
        if not isinstance(tensor, TileTensor):
            raise exc.InvalidArgument(
                what=f"{op} of a {type(tensor).__name__}", instead="give device values", location=location.here()
            )
    dims = shapes.broadcast(op, [tracer.value(t).dims for t in listed], tracer.show_size)
    result = []
    for tensor in torch.broadcast_tensors(*listed) if len(listed) > 1 else listed:
        value = tracer.value(tensor)
        if value.dims != dims:
            value = tracer.value(tracer.emit(ir.Expand(inputs=(value,)), dims, value.dtype))
        result.append(value)
    return result
