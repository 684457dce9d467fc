"""A cache from a line of text, as a setting or an environment variable holds it."""

from __future__ import annotations

from helion_autotune.caches.base import Cache
from helion_autotune.caches.layered import LayeredCache
from helion_autotune.registry import Registry

CACHES: Registry[type[Cache]] = Registry("helion_autotune.caches")


def open_cache(text: str) -> Cache:
    """Open the caches named in ``text``, separated by commas, the first in front.

    Each is a URL (``s3://bucket/tuning``, opened by fsspec), or ``name`` or ``name:argument`` with the name of a
    registered cache: ``local``, ``local:/var/tuning``, ``packaged:helion_kernels``. Raises UnknownName for a name
    nobody registered.
    """
    layers = [_open_one(part.strip()) for part in text.split(",") if part.strip()]
    if not layers:
        raise ValueError("no cache is named; use e.g. 'local' or 'local:/var/tuning,packaged:helion_kernels'")
    return layers[0] if len(layers) == 1 else LayeredCache(layers)


def _open_one(text: str) -> Cache:
    if "://" in text:
        return CACHES.get("fsspec")(text)  # type: ignore[call-arg]
    name, _, argument = text.partition(":")
    cls = CACHES.get(name)
    try:
        return cls(argument) if argument else cls()  # type: ignore[call-arg]
    except TypeError as error:
        raise ValueError(f"cache {text!r}: {error}; write {name}:ARGUMENT") from error
