"""A cache in a directory of this machine, safe for many processes."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock
from platformdirs import user_cache_path

from helion_autotune.caches.stored import StoredCache

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOCK_SECONDS = 30.0


class LocalCache(StoredCache):
    """Files below ``root`` (default: the user's cache directory).

    Writers lock; readers need not, since files are replaced whole.
    """

    def __init__(self, root: str | os.PathLike[str] | None = None) -> None:
        self.root = Path(root) if root is not None else user_cache_path("helion") / "autotune"

    def describe(self) -> str:
        return str(self.root)

    def _read(self, name: str) -> str | None:
        try:
            return (self.root / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def _write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=".tmp")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise

    def _names(self, folder: str | None) -> Iterator[str]:
        pattern = "*/*.json" if folder is None else f"{folder}/*.json"
        for path in self.root.glob(pattern):
            if not path.name.startswith("."):
                yield path.relative_to(self.root).as_posix()

    def _locked(self, name: str) -> contextlib.AbstractContextManager[object]:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        # filelock's Timeout is an OSError: put() warns and goes on
        return FileLock(f"{path}.lock", timeout=_LOCK_SECONDS)

    def _set_aside(self, name: str) -> str:
        path = self.root / name
        aside = path.with_name(f"{path.name}.corrupt-{time.time_ns()}")
        os.replace(path, aside)
        return aside.name
