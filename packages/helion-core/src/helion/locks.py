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
    """Held by many threads `together`, or by one `alone`; both may be nested, `together` within `alone` too.

    Raises RuntimeError where a thread that holds it together asks for it alone: it would wait for itself.
    """

    def __init__(self) -> None:
        self._renew()
        _locks.add(self)

    def _renew(self) -> None:
        self._state = _Holders()

    @contextmanager
    def together(self) -> Iterator[None]:
        state, me = self._state, threading.get_ident()  # the state a child forks off with is no longer the lock's
        with state.changed:
            state.changed.wait_for(lambda: state.owner in (None, me))
            state.threads.append(me)
        try:
            yield
        finally:
            with state.changed:
                state.threads.remove(me)
                state.changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        state, me = self._state, threading.get_ident()
        with state.changed:
            if state.owner != me and me in state.threads:
                raise RuntimeError("a thread that holds a lock together with others asks for it alone")
            state.changed.wait_for(lambda: state.owner == me or (state.owner is None and not state.threads))
            state.owner, state.depth = me, state.depth + 1
        try:
            yield
        finally:
            with state.changed:
                state.depth -= 1
                state.owner = me if state.depth else None
                state.changed.notify_all()


class _Holders:
    """Who holds a `SharedLock`: `owner` alone, so many times as `depth` says, and `threads` together."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.owner: int | None = None
        self.depth = 0
        self.threads: list[int] = []


def _renew_all() -> None:
    for lock in list(_locks):
        lock._renew()


os.register_at_fork(after_in_child=_renew_all)

TRACING = Lock()  # one trace at a time: torch's tracing state is not made for several
LANGUAGE = SharedLock()  # compilers share triton.language; the interpreter, which patches it, has it alone
