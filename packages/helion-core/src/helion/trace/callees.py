"""What a call in device code calls: device-aware builtins, rewritten user functions, everything else as it is."""

from __future__ import annotations

import weakref
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any

import torch

from .. import exc, location
from ..location import is_user_file
from .operators.escape import python_print
from .ranges import grid_loop
from .symbols import is_symbolic
from .values import Tile, TileTensor

if TYPE_CHECKING:
    from .tracer import Tracer

_rewritten: weakref.WeakKeyDictionary[FunctionType, FunctionType] = weakref.WeakKeyDictionary()


def callee(tracer: Tracer, function: Any) -> Any:
    builtin = _BUILTINS.get(function) if _is_hashable_builtin(function) else None
    if builtin is not None:
        return lambda *args, **kwargs: builtin(tracer, *args, **kwargs)
    if isinstance(function, MethodType) and isinstance(function.__func__, FunctionType):
        inner = callee(tracer, function.__func__)
        return function if inner is function.__func__ else MethodType(inner, function.__self__)
    if isinstance(function, FunctionType) and is_inlined(function):
        tracer.inlined.append(function)
        return inline(function)
    return function


def _is_hashable_builtin(function: Any) -> bool:
    return isinstance(function, (type, type(len)))


def is_inlined(function: FunctionType) -> bool:
    """Whether `function` is the user's own, not a library's."""
    import sys

    if not is_user_file(function.__code__.co_filename):
        return False
    root = (function.__module__ or "").split(".")[0]
    return root not in sys.stdlib_module_names or root == "__main__"


def inline(function: FunctionType) -> FunctionType:
    """`function` rewritten like a kernel, so that its loops and branches may be the device's; lambdas stay."""
    from ..frontend.rewrite import rewrite

    found = _rewritten.get(function)
    if found is None:
        already = any(name.startswith("__helion") for name in function.__code__.co_freevars)
        if function.__name__ == "<lambda>" or already:
            found = function
        else:
            try:
                found = rewrite(function)
            except exc.SourceUnavailable:
                found = function
        _rewritten[function] = found
    return found


# --- builtins that would ask for the value of a device number


def _is_device(tracer: Tracer, values: Any) -> bool:
    return any(tracer.is_device_value(v) for v in values)


def _range(tracer: Tracer, *args: Any) -> Any:
    if not _is_device(tracer, args):
        return range(*args)
    begin, end, step = (0, args[0], 1) if len(args) == 1 else (*args, 1) if len(args) == 2 else args
    from ..language.loops import TileLoop

    return grid_loop(tracer, TileLoop("range", [begin], [end], [1], single=True), [step])


def _extremum(name: str) -> Any:
    python = min if name == "min" else max

    def run(tracer: Tracer, *args: Any, **kwargs: Any) -> Any:
        values = args if len(args) > 1 else tuple(args[0])
        if kwargs or not _is_device(tracer, values):
            return python(*args, **kwargs)
        result = values[0]
        for value in values[1:]:
            result = _pair(tracer, name, result, value)
        return result

    return run


def _pair(tracer: Tracer, name: str, a: Any, b: Any) -> Any:
    if isinstance(a, TileTensor) or isinstance(b, TileTensor):
        a, b = (v if isinstance(v, TileTensor) else tracer.scalar(v) for v in (a, b))
        return (torch.minimum if name == "min" else torch.maximum)(a, b)
    return (torch.sym_min if name == "min" else torch.sym_max)(a, b)


def _convert(python: type, dtype: torch.dtype) -> Any:
    def run(tracer: Tracer, *args: Any) -> Any:
        if not args or not _is_device(tracer, args[:1]):
            return python(*args)
        (value,) = args
        if isinstance(value, torch.SymInt) and python is int:
            return value
        if isinstance(value, TileTensor) and value.value.dims:
            raise exc.DeviceValueAsPython(
                wanted=python.__name__, how=f"{python.__name__}() of a tile", location=location.here(),
                instead=f"convert all elements with .to({dtype})",
            )  # fmt: skip
        value = value if isinstance(value, TileTensor) else tracer.scalar(value)
        if python is int:  # as a number, so that sizes and bounds computed from it are expressions, too
            converted = value.dtype.is_floating_point or value.dtype is torch.bool
            return tracer.symbol_of(value.to(dtype) if converted else value)
        return value.to(dtype)

    return run


def _len(tracer: Tracer, value: Any) -> Any:
    if isinstance(value, TileTensor):
        return value.size(0)
    if isinstance(value, Tile):
        return value.block_size
    return len(value)


def _isinstance(tracer: Tracer, value: Any, kind: Any) -> bool:
    if is_symbolic(value):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        plain = {torch.SymInt: int, torch.SymFloat: float, torch.SymBool: bool}[type(value)]
        return isinstance(value, kind) or plain in kinds
    return isinstance(value, kind)


_BUILTINS: dict[Any, Any] = {
    range: _range,
    min: _extremum("min"),
    max: _extremum("max"),
    int: _convert(int, torch.int32),
    float: _convert(float, torch.float32),
    len: _len,
    isinstance: _isinstance,
    print: python_print,
}
