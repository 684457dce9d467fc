"""What rewritten functions call: loops, branches and conditions that may be Python's or the device's.

Outside tracing, and for ordinary Python values, every function here does what the Python construct would do. With an
engine active (tracing, or running the kernel as plain PyTorch) device loops and device conditions go to that engine.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from typing import Any, NoReturn

from .. import exc, location
from . import engine as _engine
from .engine import DeviceLoop
from .numbers import base as base
from .numbers import bits as bits
from .numbers import builtin
from .numbers import settled as settled

Thunk = Callable[[], Any]


class Undefined:
    """The value of a name that has none on some path, or `behind` a tile loop; any use of it raises."""

    __slots__ = ("_behind", "_name")

    def __init__(self, name: str, behind: bool = False) -> None:
        self._name, self._behind = name, behind

    def _use(self, *_: object, **__: object) -> NoReturn:
        if self._behind:
            raise exc.LeftTileLoop(name=self._name, location=location.here())
        raise exc.UndefinedVariable(name=self._name, location=location.here())

    def __getattr__(self, attribute: str) -> NoReturn:
        self._use()

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _use
    __getitem__ = __setitem__ = __call__ = __bool__ = __iter__ = __len__ = __neg__ = _use
    __lt__ = __le__ = __gt__ = __ge__ = __matmul__ = __rmatmul__ = __iadd__ = _use

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> NoReturn:
        from torch.utils._pytree import tree_iter

        found = next(leaf for leaf in tree_iter((args, kwargs or {})) if isinstance(leaf, Undefined))
        found._use()


def undefined(name: str) -> Undefined:
    return Undefined(name)


def _current(names: Sequence[str], thunks: Sequence[Thunk]) -> list[Any]:
    values = []
    for name, thunk in zip(names, thunks, strict=True):
        try:
            values.append(thunk())
        except NameError:
            values.append(Undefined(name))
    return values


def returned(value: Any) -> Any:
    """`return value`, where no name without a value may leave the function, nor anything that holds one."""
    if isinstance(value, Undefined):
        value._use()
    if type(value) in (tuple, list, dict):
        for part in value.values() if isinstance(value, dict) else value:
            returned(part)
    return value


def bind(name: str, value: Any) -> Any:
    """`name = value`: lets the engine name a device value after the variable."""
    if isinstance(value, Undefined):
        value._use()
    engine = _engine.current()
    if engine is not None and engine.in_device:
        engine.name_value(name, value)
    return value


def for_(
    iterable: Iterable[Any], body: Callable[..., tuple[Any, ...]], names: tuple[str, ...], thunks: tuple[Thunk, ...],
    number: int, targets: tuple[str, ...],
) -> tuple[Any, ...]:  # fmt: skip
    """Runs `body(item, *carried)` for every item, or hands a device loop to the engine; returns the carried values."""
    engine = _engine.current()
    values = _current(names, thunks)
    if isinstance(iterable, DeviceLoop):
        if engine is None:
            raise exc.NotInsideKernel(
                name=iterable.function, region="a kernel", inside="a function decorated with @helion.kernel"
            )
        return tuple(engine.loop(iterable, body, names, values, number, targets))
    if engine is not None and engine.is_device_value(iterable):
        raise exc.DeviceValueAsPython(
            wanted="iterable", how="a tile value is iterated", location=location.here(),
            instead="iterate over hl.tile(...), hl.grid(...) or range(...), or use a reduction",
        )  # fmt: skip
    with nullcontext() if engine is None else engine.host_statement("for"):
        for item in iterable:
            values = body(item, *values)
    return tuple(values)


def while_(
    test: Callable[..., Any], body: Callable[..., tuple[Any, ...]], names: tuple[str, ...], thunks: tuple[Thunk, ...]
) -> tuple[Any, ...]:
    """Runs `body(*carried)` while `test(*carried)` holds; a device condition makes a device loop."""
    engine = _engine.current()
    values: Sequence[Any] = _current(names, thunks)
    with nullcontext() if engine is None else engine.host_statement("while"):
        while True:
            condition = test(*values)
            if engine is not None and engine.is_device_value(condition):
                return tuple(engine.while_loop(test, body, names, values))
            if not condition:
                return tuple(values)
            values = body(*values)


def if_(
    test: Any, then: Callable[..., tuple[Any, ...]], other: Callable[..., tuple[Any, ...]], names: tuple[str, ...],
    thunks: tuple[Thunk, ...],
) -> tuple[Any, ...]:  # fmt: skip
    """Runs one of the two branches, or both under the engine where the condition is the device's."""
    engine = _engine.current()
    values = _current(names, thunks)
    if engine is not None and engine.is_device_value(test):
        return tuple(engine.branch(test, then, other, names, values, "if"))
    chosen = then if test else other
    with nullcontext() if engine is None else engine.host_statement("if"):
        return tuple(chosen(*values))


def ifexp(test: Any, then: Thunk, other: Thunk) -> Any:
    """`then() if test else other()`."""
    engine = _engine.current()
    if engine is not None and engine.is_device_value(test):
        (result,) = engine.branch(test, lambda _: (then(),), lambda _: (other(),), ("result",), [None], "if")
        return result
    return then() if test else other()


def and_(*operands: Thunk) -> Any:
    """`a and b and ...`; device scalars combine into a device condition."""
    return _chain(operands, lambda value: not value, "and")


def or_(*operands: Thunk) -> Any:
    """`a or b or ...`; device scalars combine into a device condition."""
    return _chain(operands, bool, "or")


def _chain(operands: Iterable[Thunk], decides: Callable[[Any], Any], word: str) -> Any:
    engine = _engine.current()
    pending: Any = None
    value: Any = None
    for operand in operands:
        value = operand()
        if engine is not None and engine.is_device_value(value):
            value = engine.as_operand(value, word)
            pending = value if pending is None else engine.either(pending, value, word)
        elif pending is not None and engine is not None and type(value) in (int, float):
            pending = engine.either(pending, value, word)
            if decides(value):
                return pending
        elif decides(value):
            # a Python value that settles the outcome, whatever the device says
            return value
    return value if pending is None else pending


def not_(value: Any) -> Any:
    engine = _engine.current()
    if engine is not None and engine.is_device_value(value):
        return engine.negate(engine.as_condition(value, "not"))
    return not value


_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "is": operator.is_, "is not": operator.is_not, "in": lambda a, b: a in b, "not in": lambda a, b: a not in b,
}  # fmt: skip


def compare(symbols: tuple[str, ...], left: Any, *rights: Thunk) -> Any:
    """`a < b < c`: each operand evaluated once, stopping at the first false comparison of Python values."""

    def steps() -> Iterable[Thunk]:
        value = left
        for symbol, right in zip(symbols, rights, strict=True):
            first, value = value, right()
            yield lambda a=first, b=value, s=symbol: _COMPARISONS[s](a, b)

    return _chain(steps(), lambda value: not value, "chained comparison")


def plain_iter(iterable: Any, word: str) -> Any:
    """The iterable of a loop that holds `break` or `return`, which a device loop cannot."""
    engine = _engine.current()
    if isinstance(iterable, DeviceLoop) or (engine is not None and engine.is_device_value(iterable)):
        behind = "return behind the loop, which runs all its tiles; to leave work out, " if word == "return" else ""
        raise exc.DeviceControlFlow(
            statement=f"`{word}` inside a device loop", location=location.here(),
            instead=f"{behind}keep the loop running and mask its effect: torch.where(active, new, old), "
            "or move the condition into the bounds of the loop",
        )  # fmt: skip
    return iterable


def without_else(iterable: Any) -> Any:
    """The iterable of a loop with an `else`, which a tile loop of the host, replaced by a launch, cannot have."""
    engine = _engine.current()
    if isinstance(iterable, DeviceLoop) and engine is not None and not engine.in_device:
        raise exc.DeviceControlFlow(
            statement="`else` of a tile loop", instead="write its statements behind the loop", location=location.here()
        )
    return iterable


def plain_test(value: Any, word: str) -> Any:
    """The condition of a statement that holds a jump, which must be known while tracing."""
    engine = _engine.current()
    if engine is not None and engine.is_device_value(value):
        raise exc.DeviceControlFlow(
            statement=f"`{word}` under a device condition", location=location.here(),
            instead="compute both outcomes and choose with torch.where(condition, a, b), "
            "or put the rest of the body under `if not condition:`",
        )  # fmt: skip
    return value


def assert_(condition: Any, message: Thunk | None) -> None:
    """`assert condition, message`; on the device a device assert."""
    engine = _engine.current()
    if engine is not None and engine.is_device_value(condition):
        engine.device_assert(condition, "" if message is None else str(message()))
        return
    if not condition:
        raise AssertionError(*([] if message is None else [message()]))


def outer_store(target: Any, name: str) -> None:
    """Before a store to an attribute, list or dict of what lies outside the kernel: device code may not change it."""
    engine = _engine.current()
    if engine is not None and engine.in_device and (target is None or isinstance(target, (list, dict))):
        raise exc.ReadOnlyCapture(name=name)


def fn(function: Any) -> Any:
    """The callable to use for `function`: in device code a device-aware builtin, or the rewritten form of user code."""
    engine = _engine.current()
    if engine is None:
        return function
    replaced = builtin(function)
    if replaced is not None:
        return replaced
    return engine.callee(function) if engine.in_device else function
