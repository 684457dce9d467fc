"""Operations and backends of any package: one that cannot be used is told, and costs nobody but those who name it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import TypeVar

from helion_autotune.errors import AutotuneError
from helion_autotune.registry import Registry

from .errors import InvalidRequest

P = TypeVar("P")


class UnusablePlugin(InvalidRequest):
    """A plug-in is there by name, but does not load, or is something else."""


class PluginWarning(UserWarning):
    """A plug-in that nobody named is left out, or one does without what it cannot tell."""


def make(registry: Registry[type[P]], name: str, base: type[P]) -> P:
    """The plug-in `name`, an object of a subclass of `base`. Raises UnusablePlugin."""
    try:
        found = registry.get(name)
    except AutotuneError as error:  # it names the plug-in, and says why
        raise UnusablePlugin(str(error)) from error
    try:
        made = found() if isinstance(found, type) and issubclass(found, base) else None
    except Exception as error:
        raise UnusablePlugin(_told(registry, name, f"{type(error).__name__}: {error}")) from error
    if made is None:
        raise UnusablePlugin(_told(registry, name, f"{found!r} is no subclass of {base.__module__}.{base.__name__}"))
    own = getattr(made, "name", None)
    if own != name:
        raise UnusablePlugin(_told(registry, name, f"it calls itself {own!r}: both must be the same"))
    return made


def usable(names: Iterable[str], get: Callable[[str], P], wanted: Collection[str] = ()) -> Iterator[P]:
    """Those of `names` that can be used; a PluginWarning for each other one. Raises where it is one of `wanted`."""
    for name in names:
        try:
            yield get(name)
        except UnusablePlugin as error:
            if name in wanted:
                raise
            warnings.warn(f"left out: {error}", PluginWarning, stacklevel=2)


def _told(registry: Registry[type[P]], name: str, problem: str) -> str:
    return f"the plug-in {name!r} of {registry.group} cannot be used ({problem})"
