"""In-place operators on device values: the functional operator, whose result the same Python object then stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from ... import exc, location
from .. import shapes
from ..values import TileTensor
from . import pointwise
from .registry import aten, handles

if TYPE_CHECKING:
    from ..tracer import Tracer


def is_inplace(func: Any) -> bool:
    name = func.overloadpacket.__name__
    return name.endswith("_") and not name.endswith("__") and func._schema.is_mutable


def _functional(func: Any) -> Any:
    packet = getattr(torch.ops.aten, func.overloadpacket.__name__[:-1], None)
    return getattr(packet, func._overloadname, None) if packet is not None else None


def apply(tracer: Tracer, func: Any, args: Any, kwargs: Any) -> TileTensor:
    """`x.op_(...)`: shape and dtype of x stay; values from outside the current loop cannot be updated."""
    target, functional = args[0], _functional(func)
    if functional is None:
        raise exc.UnsupportedOperation(
            op=f"in-place operator `{func.overloadpacket.__name__}`", reason="", location=location.here(),
            instead="use the operator that returns a new value",
        )  # fmt: skip
    return update(tracer, target, functional(*args, **kwargs))


def update(tracer: Tracer, target: TileTensor, result: TileTensor) -> TileTensor:
    """Makes the Python object `target` stand for `result`."""
    old, new = tracer.value(target), tracer.value(result)
    if len(old.dims) != len(new.dims) or not all(map(shapes.same, old.shape, new.shape)):
        raise exc.ShapeMismatch(
            op="in-place update", left=tracer.show(old.shape), right=tracer.show(new.shape), relation="agree",
            detail="",
            help="an in-place update keeps the shape; write `x = x + y` instead", location=location.here(),
        )  # fmt: skip
    if target.home is not tracer.block:
        raise exc.UnsupportedOperation(
            op="an in-place update of a value from outside this loop or branch", reason="", location=location.here(),
            instead="write `x = x + y`, so that the variable is carried through the loop",
        )  # fmt: skip
    target.value = tracer.value(pointwise.cast(tracer, result, old.dtype))
    if not target.value.hint:
        target.value.hint = old.hint
    target.updated = True
    if target.loaded is not None:
        tracer.updates.append((target, location.here()))
    for other in target.sharing or ():
        if other is not target:
            tracer.poison(other)
    return target


@handles(aten.copy_.default)
def _copy(tracer: Tracer, target: TileTensor, source: TileTensor, non_blocking: bool = False) -> TileTensor:
    expanded = source.expand(target.shape) if source.dim() else tracer.full(target.shape, source, target.dtype)
    return update(tracer, target, expanded)
