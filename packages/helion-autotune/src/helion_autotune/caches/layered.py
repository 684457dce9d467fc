"""Several caches as one: a local directory before a shared one before a packaged table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from helion_autotune.caches.base import Cache
from helion_autotune.errors import CacheReadOnly

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from helion_autotune.caches.record import CacheKey, Entry, Record


class LayeredCache(Cache):
    """Reads from all ``layers``, where an earlier one has the last word on a point; writes to every writable one."""

    def __init__(self, layers: Sequence[Cache]) -> None:
        self.layers = list(layers)
        self.writable = any(layer.writable for layer in self.layers)

    def describe(self) -> str:
        return ", then ".join(layer.describe() for layer in self.layers)

    def get(self, key: CacheKey) -> Record | None:
        found = None
        for layer in reversed(self.layers):
            record = layer.get(key)
            if record is not None:
                found = record if found is None else found.merged(record.entries)
        return found

    def put(self, key: CacheKey, entries: Iterable[Entry]) -> None:
        if not self.writable:
            raise CacheReadOnly(f"no layer of {self.describe()} can be written")
        entries = list(entries)
        for layer in self.layers:
            if layer.writable:
                layer.put(key, entries)

    def records(self, group: str | None = None, parts: Mapping[str, Any] | None = None) -> Iterator[Record]:
        seen: dict[str, Record] = {}
        for layer in reversed(self.layers):
            for record in layer.records(group, parts):
                other = seen.get(record.key.digest)
                seen[record.key.digest] = record if other is None else other.merged(record.entries)
        yield from seen.values()
