"""The interface between rewritten functions and whoever runs them, and the one that is active in this thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NoReturn, Protocol

Body = Callable[..., tuple[Any, ...]]


class DeviceLoop:
    """What `hl.tile` and its relatives return: bounds of a loop that only a `for` statement may consume."""

    function = "hl.tile"

    def _misused(self, *_: object, **__: object) -> NoReturn:
        from .. import exc

        raise exc.LoopFunctionNotInFor(name=self.function)

    __iter__ = __next__ = __enter__ = __len__ = __getitem__ = __index__ = __add__ = __sub__ = __mul__ = _misused

    def __exit__(self, *_: object) -> None:
        """Only here so that `with` calls `__enter__`."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> NoReturn:
        from .. import exc

        raise exc.LoopFunctionNotInFor(name=cls.function)


class Engine(Protocol):
    """Runs the device parts of a rewritten function: by tracing them, or as plain PyTorch."""

    @property
    def in_device(self) -> bool: ...

    def is_device_value(self, value: Any) -> bool: ...
    def name_value(self, name: str, value: Any) -> None: ...
    def loop(
        self, loop: DeviceLoop, body: Body, names: Sequence[str], values: Sequence[Any], number: int,
        targets: Sequence[str],
    ) -> Sequence[Any]: ...  # fmt: skip
    def while_loop(
        self, test: Callable[..., Any], body: Body, names: Sequence[str], values: Sequence[Any]
    ) -> Sequence[Any]: ...
    def branch(
        self, test: Any, then: Body, other: Body, names: Sequence[str], values: Sequence[Any], statement: str
    ) -> Sequence[Any]: ...
    def as_condition(self, value: Any, statement: str) -> Any: ...
    def as_operand(self, value: Any, word: str) -> Any: ...
    def either(self, first: Any, second: Any, word: str) -> Any: ...
    def negate(self, condition: Any) -> Any: ...
    def host_statement(self, statement: str) -> AbstractContextManager[None]: ...
    def device_assert(self, condition: Any, message: str) -> None: ...
    def callee(self, function: Any) -> Any: ...


class _Active(threading.local):
    engine: Engine | None = None


_active = _Active()


def current() -> Engine | None:
    """The engine of this thread, or None outside a kernel."""
    return _active.engine


@contextmanager
def activate(engine: Engine) -> Iterator[None]:
    """Makes `engine` the current one for the duration of a `with` block."""
    previous, _active.engine = _active.engine, engine
    try:
        yield
    finally:
        _active.engine = previous
