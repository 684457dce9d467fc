"""Small facts that one process leaves for the next, beside what Triton keeps: removed together, moved together."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

log = logging.getLogger(__name__)

_FILE = "helion.json"
_FORMAT = 1  # raised when facts of the same name mean something else


def key_of(kind: str, parts: Sequence[str]) -> str:
    """The key of a fact of some `kind` that depends on `parts`, for `read` and `write`."""
    return hashlib.sha256(json.dumps([_FORMAT, kind, *parts]).encode()).hexdigest()


def read(key: str) -> dict[str, Any] | None:
    """What was written under `key`; None where nothing was, and where it is damaged."""
    try:
        if not in_use():
            return None
        path = folder(key).get_file(_FILE)
        if path is None:
            return None
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError, RuntimeError) as error:
        log.info("a fact that was kept cannot be read: %s", error)
        return None
    return found if isinstance(found, dict) else None


def write(key: str, fact: Mapping[str, Any]) -> None:
    """Keeps `fact`; of several processes that do so at once, one wins. Triton's folder replaces files whole."""
    try:
        if in_use():
            folder(key).put(json.dumps(fact), _FILE, binary=False)
    except (OSError, RuntimeError) as error:
        log.info("a fact cannot be kept: %s", error)


def in_use() -> bool:
    """Whether facts are kept: not where somebody else manages Triton's cache."""
    from triton import knobs

    return not knobs.cache.manager_class


def folder(key: str) -> Any:
    """Triton's access to the files of one key, which is a SHA-256 in hexadecimal digits."""
    from triton.runtime.cache import get_cache_manager

    return get_cache_manager(key)
