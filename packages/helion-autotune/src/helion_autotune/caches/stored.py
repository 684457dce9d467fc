"""The logic that all caches made of text files share; where the files lie is up to the subclass."""

from __future__ import annotations

import contextlib
import json
import re
import warnings
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from helion_autotune.caches.base import Cache
from helion_autotune.caches.record import BadRecord, CacheKey, Record
from helion_autotune.points import digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from helion_autotune.caches.record import Entry

_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")


def folder_of(group: str) -> str:
    """The folder of a group: its name made safe for file systems, and a hash if that lost anything."""
    safe = _UNSAFE.sub("_", group).strip("._")[:80] or "_"
    return safe if safe == group else f"{safe}-{digest(group)[:8]}"


class StoredCache(Cache):
    """One file per key, ``<group>/<digest>.json``.

    Subclasses read, write, list, lock and set aside files by such names.
    """

    @abstractmethod
    def _read(self, name: str) -> str | None:
        """The text of a file, None if there is none; may raise OSError or UnicodeDecodeError."""

    @abstractmethod
    def _write(self, name: str, text: str) -> None:
        """Replace a file so that a reader sees the old text or the new one; may raise OSError."""

    @abstractmethod
    def _names(self, folder: str | None) -> Iterator[str]:
        """The names of all files, or of those in a folder."""

    @abstractmethod
    def _set_aside(self, name: str) -> str:
        """Move a damaged file out of the way; gives its new name."""

    def _locked(self, name: str) -> contextlib.AbstractContextManager[object]:
        """Keep other processes from changing a file meanwhile."""
        return contextlib.nullcontext()

    def get(self, key: CacheKey) -> Record | None:
        record = self._load(_name(key))
        return record if record is not None and record.key == _plain(key) else None

    def put(self, key: CacheKey, entries: Iterable[Entry]) -> None:
        name = _name(key)
        try:
            with self._locked(name):
                record = self.get(key) or Record(_plain(key), ())
                self._write(name, json.dumps(record.merged(entries).to_json(), indent=1, allow_nan=False) + "\n")
        except OSError as error:
            warnings.warn(f"cache {self.describe()}: {error}; the result is not kept", stacklevel=2)

    def records(self, group: str | None = None, parts: Mapping[str, Any] | None = None) -> Iterator[Record]:
        for name in sorted(self._names(None if group is None else folder_of(group))):
            record = self._load(name)
            if record is None or (group is not None and record.key.group != group):
                continue
            if record.key.matches(parts or {}):
                yield record

    def _load(self, name: str) -> Record | None:
        try:
            text = self._read(name)
            return None if text is None else Record.from_json(json.loads(text))
        except OSError as error:
            warnings.warn(f"cache {self.describe()}: cannot read {name}: {error}", stacklevel=3)
        except (ValueError, RecursionError) as error:  # not UTF-8, not JSON, BadRecord
            self._reject(name, error)
        return None

    def _reject(self, name: str, error: Exception) -> None:
        what = str(error) if isinstance(error, BadRecord) else f"damaged ({error})"
        try:
            where = f"set aside as {self._set_aside(name)}"
        except OSError as trouble:
            where = f"ignored ({trouble})"
        warnings.warn(f"cache {self.describe()}: {name}: {what}; {where}", stacklevel=4)


def _name(key: CacheKey) -> str:
    return f"{folder_of(key.group)}/{key.digest}.json"


def _plain(key: CacheKey) -> CacheKey:
    """The key as it looks after a trip through JSON: tuples become lists."""
    return CacheKey(key.group, json.loads(json.dumps(dict(key.parts))))
