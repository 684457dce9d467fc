"""Caches of tuning results: JSON files with a schema version, nothing in them is ever executed.

In: a :class:`CacheKey` that names everything which changes the code or its time, and trials. Out: entries, one per
point. Implementations are found by name through the entry points ``helion_autotune.caches``; :func:`open_cache`
reads a text.
"""

from __future__ import annotations

from helion_autotune.caches.base import Cache
from helion_autotune.caches.opening import CACHES, open_cache
from helion_autotune.caches.record import CacheKey, Entry, Record

__all__ = ["CACHES", "Cache", "CacheKey", "Entry", "Record", "open_cache"]
