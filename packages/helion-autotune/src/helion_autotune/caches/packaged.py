"""A read-only table of results that is shipped inside a Python package."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from helion_autotune.caches.stored import StoredCache
from helion_autotune.errors import CacheReadOnly

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from helion_autotune.caches.record import CacheKey, Entry


class PackagedCache(StoredCache):
    """The files below ``folder`` of the importable ``package``, laid out as a LocalCache lays them out.

    Works from zip files too. A damaged file is passed over with a warning: it is not ours to move.
    """

    writable = False

    def __init__(self, package: str, folder: str = "configs") -> None:
        self._package, self._folder = package, folder
        self._root = files(package).joinpath(folder)

    def describe(self) -> str:
        return f"package {self._package} ({self._folder})"

    def put(self, key: CacheKey, entries: Iterable[Entry]) -> None:
        raise CacheReadOnly(f"{self.describe()} is read-only; put a writable cache in front of it")

    def _read(self, name: str) -> str | None:
        file = self._root.joinpath(name)
        return file.read_text(encoding="utf-8") if file.is_file() else None

    def _write(self, name: str, text: str) -> None:
        raise AssertionError("put() refuses before")

    def _names(self, folder: str | None) -> Iterator[str]:
        if not self._root.is_dir():
            return
        for group in self._root.iterdir():
            if group.is_dir() and folder in (None, group.name):
                yield from (f"{group.name}/{f.name}" for f in group.iterdir() if f.name.endswith(".json"))

    def _set_aside(self, name: str) -> str:
        raise OSError("it is part of a package")
