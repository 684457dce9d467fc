"""What a process is at, written to a file that outlives it, and an end to steps that take too long.

The runner reads it when the process is gone: the backend named there, and no other, has lost its cell.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HUNG = "Timeout ("
"""How the last words of a process begin whose step took too long, as faulthandler writes them."""


@dataclass(frozen=True)
class Step:
    """A step of a backend; no backend for what belongs to the case as a whole."""

    backend: str = ""
    name: str = ""


class Progress:
    """Of one case, in the process that measures it. `spent` holds the seconds of each step so far."""

    def __init__(self, path: str, seconds: float) -> None:
        self._path, self._seconds = Path(path), seconds
        self._since: tuple[Step, float] | None = None
        self.spent: dict[Step, float] = {}

    def mark(self, backend: str, name: str, seconds: float | None = None) -> None:
        """A step begins; it has `seconds` (by default those of all steps), then the process ends itself.

        A thread of faulthandler's does that: it needs no help of an interpreter that hangs in a call.
        """
        self._path.write_text(json.dumps([backend, name]))
        faulthandler.dump_traceback_later(seconds or self._seconds, exit=True)
        self._count()
        self._since = Step(backend, name), time.monotonic()

    def pause(self) -> None:
        """No step goes on until the next is marked."""
        faulthandler.cancel_dump_traceback_later()
        self._count()

    def _count(self) -> None:
        if self._since is not None:
            step, begin = self._since
            self.spent[step] = self.spent.get(step, 0.0) + time.monotonic() - begin
        self._since = None


@contextlib.contextmanager
def limited(steps: Progress) -> Iterator[Progress]:
    """Steps marked inside are limited in time."""
    try:
        yield steps
    finally:
        steps.pause()


def last_step(path: Path) -> Step:
    """The step that was begun last."""
    try:
        backend, name = json.loads(path.read_text())
    except (OSError, ValueError):
        return Step()
    return Step(backend, name)
