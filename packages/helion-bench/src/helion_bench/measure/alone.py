"""Whether somebody else uses the GPU: two who measure at the same time measure each other."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ..errors import InvalidRequest

BUSY = 10
"""Per cent of the time; less is what a look at the GPU takes itself."""


@contextlib.contextmanager
def alone(gpu: str) -> Iterator[None]:
    """No other run of this machine's measures on that GPU meanwhile. Raises InvalidRequest where one does.

    The lock is the process's: it ends with it, however that ends. Where no file can be locked, nobody is kept out.
    """
    path = Path(tempfile.gettempdir()) / f"helion-bench-{gpu}.lock"
    with contextlib.ExitStack() as stack:
        try:
            descriptor = _opened(path)
        except OSError:
            yield
            return
        stack.callback(os.close, descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InvalidRequest(_refusal(descriptor)) from None
        except OSError:  # a file system without locks
            yield
            return
        with contextlib.suppress(OSError):  # of another user, or a full disk: then nobody is named
            os.truncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield


def _opened(path: Path) -> int:
    """The file of a lock in a folder that all users write to: a link that somebody left there is not followed."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    except PermissionError:  # it is another user's, and reading is enough for a lock
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW)


def _refusal(descriptor: int) -> str:
    other = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
    return (
        f"{f'process {other}' if other else 'another process'} measures on this GPU, and the times of both would be "
        "wrong: wait until it ends, or choose another GPU with CUDA_VISIBLE_DEVICES"
    )


def busy_note(percent: int | None) -> list[str]:
    """What a run notes of a GPU that was busy before anything of its own ran there."""
    if percent is None or percent < BUSY:
        return []
    return [f"the GPU was busy {percent} % of the time just before the run began: somebody else may disturb it"]
