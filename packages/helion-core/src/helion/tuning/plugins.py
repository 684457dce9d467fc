"""Strategies and caches by name, as settings give them."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from helion_autotune import CACHES, STRATEGIES, Cache, Strategy, open_cache
from helion_autotune.caches.layered import LayeredCache
from helion_autotune.caches.local import LocalCache
from helion_autotune.errors import AutotuneError
from helion_autotune.evaluate.jobs import resolve

from .. import exc
from ..settings import cache_directory

# What helion-autotune registers as entry points, for source trees that are not installed.
_OWN: tuple[tuple[Any, dict[str, str]], ...] = (
    (STRATEGIES, {
        "differential_evolution": "helion_autotune.strategies.differential_evolution:DifferentialEvolutionSearch",
        "finite": "helion_autotune.strategies.finite:FiniteSearch",
        "guided": "helion_autotune.strategies.guided:GuidedSearch",
        "pattern": "helion_autotune.strategies.pattern:PatternSearch",
        "random": "helion_autotune.strategies.random_search:RandomSearch",
        "surrogate": "helion_autotune.strategies.surrogate:SurrogateSearch",
    }),
    (CACHES, {
        "local": "helion_autotune.caches.local:LocalCache",
        "fsspec": "helion_autotune.caches.remote:FsspecCache",
        "packaged": "helion_autotune.caches.packaged:PackagedCache",
    }),
)  # fmt: skip


def _register_own() -> None:
    for registry, table in _OWN:
        missing = set(table) - set(registry.names())
        for name in missing:
            registry.register(name, resolve(table[name]))


def strategy(name: str) -> type[Strategy]:
    """The strategy called `name`, by its plug-in's or its class's name. Raises `InvalidSetting`."""
    _register_own()
    names = STRATEGIES.names()
    allowed = f"strategies: {', '.join(names)}"
    try:
        if name in names:
            return STRATEGIES.get(name)
    except AutotuneError as error:
        raise exc.InvalidSetting(key="autotuner", problem=str(error), allowed=allowed) from error
    for other in names:
        with contextlib.suppress(AutotuneError):  # one that cannot be used is not the one that is looked for
            if STRATEGIES.get(other).__name__ == name:
                return STRATEGIES.get(other)
    raise exc.InvalidSetting(key="autotuner", problem=f"there is no strategy {name!r}", allowed=allowed)


def cache_root() -> Path:
    """The folder of the local cache, and of what belongs beside it: journals of running searches and their locks."""
    folder = cache_directory()
    return Path(folder) / "autotune" if folder else user_cache_path("helion") / "autotune"


def cache(text: str) -> Cache:
    """The caches named in `text` (see `helion_autotune.open_cache`); `local` is in HELION_CACHE_DIR where that is set.

    Raises `InvalidSetting`.
    """
    _register_own()
    try:
        layers = [LocalCache(cache_root()) if part == "local" else open_cache(part) for part in _parts(text)]
    except (AutotuneError, ValueError, ImportError) as error:
        raise exc.InvalidSetting(key="autotune_cache", problem=str(error), allowed="e.g. local, or s3://…") from error
    if not layers:
        raise exc.InvalidSetting(key="autotune_cache", problem="names no cache", allowed="e.g. local")
    return layers[0] if len(layers) == 1 else LayeredCache(layers)


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
