"""How an aten operator on device values is taken: our own handler, an elementwise body, or a decomposition."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ... import exc, location
from ...lower.pointwise import Unsupported, is_elementwise
from ..constants import structural
from . import (  # noqa: F401 - they register their handlers
    creation,
    inplace,
    lookup,
    movement,
    ordering,
    pointwise,
    products,
    random,
    reductions,
    scans,
    views,
)
from .decompositions import TAKEN_APART, decomposition
from .registry import HANDLERS

if TYPE_CHECKING:
    from ..tracer import Tracer

_DATA_DEPENDENT = {"nonzero", "masked_select", "unique", "_unique2", "unique_consecutive", "nonzero_numpy", "bincount",
                   "repeat_interleave"}  # fmt: skip
_PYTHON_VALUE = {"_local_scalar_dense": "number", "item": "number", "equal": "bool", "is_nonzero": "bool"}


def run(tracer: Tracer, func: Any, args: Any, kwargs: Any) -> Any:
    """The result of `func` on device values. Raises an error of the catalogue where it is not supported."""
    args, kwargs = structural(tracer, func, args, kwargs)
    handler = HANDLERS.get(func)
    if handler is not None:
        return handler(tracer, *args, **kwargs)
    reason = ""
    if inplace.is_inplace(func):
        return inplace.apply(tracer, func, args, kwargs)
    name = func.overloadpacket.__name__
    if name not in TAKEN_APART and is_elementwise(func):
        try:
            return pointwise.apply(tracer, func, args, kwargs)
        except Unsupported as unsupported:
            reason = str(unsupported)
    if name in _DATA_DEPENDENT:
        raise exc.DataDependentShape(op=name, location=location.here())
    if name in _PYTHON_VALUE:
        raise exc.DeviceValueAsPython(
            wanted=_PYTHON_VALUE[name], how=f".{name}()" if name == "item" else "its value decides Python code",
            instead="keep it a 0-d device value; use it directly in expressions, indices, bounds and conditions",
            location=location.here(),
        )  # fmt: skip
    if name in ("size", "stride"):
        raise exc.UnsupportedOperation(
            op="a torch operator that asks for sizes as numbers", reason="", location=location.here(),
            instead="write it with operators on tiles, or call it on the host before the tile loop",
        )  # fmt: skip
    result = _decompose(tracer, func, args, kwargs)
    if result is NotImplemented:
        raise exc.UnsupportedOperation(
            op=f"torch operator `{name}`", reason=f": {reason}" if reason else "", location=location.here(),
            instead="compute it on the host before the tile loop, or write it with supported operators",
        )  # fmt: skip
    return result


def _decompose(tracer: Tracer, func: Any, args: Any, kwargs: Any) -> Any:
    found = decomposition(func)
    with tracer.env.lenient():
        try:
            if found is not None:
                result = found(*args, **kwargs)
                if result is not NotImplemented:
                    return result
            return func.decompose(*args, **kwargs)
        except exc.Base:
            raise
        except (RuntimeError, ValueError, TypeError, IndexError, AssertionError, NotImplementedError) as error:
            raise exc.TracingFailed(
                op=func.overloadpacket.__name__, reason=str(error).split("\n")[0], location=location.here()
            ) from error
