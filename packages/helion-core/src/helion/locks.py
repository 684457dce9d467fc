"""Locks that a forked child can take: it starts with them free, whoever held them when the process forked."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

_locks: weakref.WeakSet[Lock | SharedLock] = weakref.WeakSet()


class Lock:
    """A re-entrant lock, for a `with` statement."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        _locks.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._lock.release()

    def _renew(self) -> None:
        self._lock = threading.RLock()


class SharedLock:
    """Held by many threads `together`, or by one `alone`; both may be nested, `together` within `alone` too."""

    def __init__(self) -> None:
        self._renew()
        _locks.add(self)

    def _renew(self) -> None:
        self._changed = threading.Condition()
        self._together, self._depth = 0, 0
        self._owner: int | None = None

    @contextmanager
    def together(self) -> Iterator[None]:
        me = threading.get_ident()
        with self._changed:
            self._changed.wait_for(lambda: self._owner in (None, me))
            self._together += 1
        try:
            yield
        finally:
            with self._changed:
                self._together -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        me = threading.get_ident()
        with self._changed:
            self._changed.wait_for(lambda: self._owner == me or (self._owner is None and not self._together))
            self._owner, self._depth = me, self._depth + 1
        try:
            yield
        finally:
            with self._changed:
                self._depth -= 1
                self._owner = me if self._depth else None
                self._changed.notify_all()


def _renew_all() -> None:
    for lock in list(_locks):
        lock._renew()


os.register_at_fork(after_in_child=_renew_all)

TRACING = Lock()  # one trace at a time: torch's tracing state is not made for several
LANGUAGE = SharedLock()  # compilers share triton.language; the interpreter, which patches it, has it alone
