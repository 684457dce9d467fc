"""An end to calls that take too long, by an exception: the process, and all it has loaded, goes on."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from dataclasses import dataclass


class TimeUp(Exception):
    """The time of a call is over."""


@dataclass
class Limit:
    """`passed`: whether the time was over before the call."""

    passed: bool = False


@contextlib.contextmanager
def interrupted(seconds: float) -> Iterator[Limit]:
    """Raise TimeUp within the block after `seconds`, in the main thread only; the block may catch it or not.

    It comes when the interpreter comes to it: what hangs within one call needs another end.
    """
    limit = Limit()

    def ring(*_: object) -> None:
        limit.passed = True
        raise TimeUp(f"stopped after {seconds:g} s")

    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        yield limit
    except TimeUp:
        pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
