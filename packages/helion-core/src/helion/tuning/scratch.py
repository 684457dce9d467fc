"""The folder of files that a search hands to its processes: in shared memory, where there is such a thing.

A process that is killed cannot remove its folder, and gigabytes of memory would stay taken. So whoever makes a folder
removes those that nobody holds the lock of.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
import time
from pathlib import Path

from filelock import FileLock

_SHARED_MEMORY = Path("/dev/shm")
_PREFIX = "helion-tuning-"
_LOCK = "in-use"
_FRESH_SECONDS = 60.0  # a folder may be younger than its lock


class Scratch:
    """A folder of one's own below `root` (default: shared memory), until `close`."""

    def __init__(self, root: Path | None = None) -> None:
        root = root or (_SHARED_MEMORY if _SHARED_MEMORY.is_dir() else Path(tempfile.gettempdir()))
        _remove_abandoned(root)
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=root))
        self._lock = FileLock(self.path / _LOCK)
        self._lock.acquire(timeout=0)

    def close(self) -> None:
        """Removes the folder."""
        self._lock.release()
        shutil.rmtree(self.path, ignore_errors=True)


def _remove_abandoned(root: Path) -> None:
    for folder in root.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):  # the lock is held, or somebody else removes it
            found = folder.lstat()
            ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
            if ours and time.time() - found.st_mtime > _FRESH_SECONDS:
                with FileLock(folder / _LOCK, timeout=0):
                    shutil.rmtree(folder)
