"""The interface of a cache."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from helion_autotune.caches.record import CacheKey, Entry, Record

_SHOWN = 3
_LONGEST_VALUE = 60


class Cache(ABC):
    """Results by key.

    The client calls :meth:`get` before tuning, :meth:`put` after (or during) it, :meth:`records` to find points of
    related keys to start from, and :meth:`explain` when the user wonders why there was no hit. All may be called
    from several threads and processes at once.

    A cache never makes a run fail: a damaged file is set aside with a warning, a write that fails (full disk) is a
    warning.
    """

    writable: bool = True

    @abstractmethod
    def get(self, key: CacheKey) -> Record | None:
        """Everything known under exactly this key, None if nothing is."""

    @abstractmethod
    def put(self, key: CacheKey, entries: Iterable[Entry]) -> None:
        """Add entries to a key's record; those of other points stay. Raises CacheReadOnly if the cache cannot write."""

    @abstractmethod
    def records(self, group: str | None = None, parts: Mapping[str, Any] | None = None) -> Iterator[Record]:
        """All records, of one group and with these parts if given."""

    @abstractmethod
    def describe(self) -> str:
        """Where this cache is, for messages."""

    def related(self, key: CacheKey, same: Iterable[str] = ()) -> list[Record]:
        """Records of other keys in the group that agree in the parts named ``same``, the most similar first.

        Their best points seed a search for this key (``space.seeded``), once the client has repaired them.
        """
        fixed = {name: key.parts[name] for name in same if name in key.parts}
        others = [r for r in self.records(key.group, fixed) if r.key.digest != key.digest]
        return sorted(others, key=lambda r: len(key.differences(r.key)))

    def explain(self, key: CacheKey) -> str:
        """Why there is a hit or a miss: which parts differ from the nearest records."""
        record = self.get(key)
        if record is not None:
            return f"hit: {len(record.entries)} entries under {key.digest} in {self.describe()}"
        near = self.related(key)
        if not near:
            return f"miss: nothing of {key.group!r} in {self.describe()}"
        lines = [f"miss: {len(near)} other keys of {key.group!r} in {self.describe()}; the nearest differ in"]
        for record in near[:_SHOWN]:
            lines.append(f"  {record.key.digest}: " + ", ".join(_difference(key, record.key)))
        return "\n".join(lines)


def _difference(wanted: CacheKey, found: CacheKey) -> Iterator[str]:
    for name in wanted.differences(found):
        yield f"{name} ({_show(found, name)} there, {_show(wanted, name)} here)"


def _show(key: CacheKey, name: str) -> str:
    text = repr(key.parts[name]) if name in key.parts else "absent"
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"
