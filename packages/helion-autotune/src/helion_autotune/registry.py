"""Plug-ins by name: entry points of installed packages, ours included, and whatever a program registers itself.

One :class:`Registry` per group. Two claims to one name are refused (NameCollision) instead of one silently winning.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from helion_autotune.errors import NameCollision, UnknownName, UnusablePlugin

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

T = TypeVar("T")


class Registry(Generic[T]):
    """The plug-ins of one entry-point group. Nothing is imported before it is asked for by name."""

    def __init__(self, group: str) -> None:
        self.group = group
        self._registered: dict[str, T] = {}

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted({*self._registered, *self._installed()})

    def register(self, name: str, plugin: T) -> None:
        """Add a plug-in for this process; raises NameCollision if another one has the name."""
        if self._registered.get(name, plugin) is not plugin or name in self._installed():
            raise NameCollision(f"{self.group}: the name {name!r} is taken; choose another")
        self._registered[name] = plugin

    def unregister(self, name: str) -> None:
        """Forget what :meth:`register` added; nothing happens if it added no such name."""
        self._registered.pop(name, None)

    def get(self, name: str) -> T:
        """The plug-in called ``name``.

        Raises UnknownName, listing what there is, NameCollision where two packages claim the name, and UnusablePlugin
        where importing it fails.
        """
        if name in self._registered:
            return self._registered[name]
        claims = self._installed().get(name)
        if claims is None:
            known = ", ".join(self.names()) or "none: is helion-autotune installed (pip install -e)?"
            raise UnknownName(f"{self.group} has no {name!r}; known: {known}")
        if len(claims) > 1:
            raise NameCollision(
                f"{self.group}: the name {name!r} is claimed by {' and by '.join(claims)}; uninstall one of them"
            )
        [(value, point)] = claims.items()
        try:
            return cast("T", point.load())
        except Exception as error:  # a package of somebody else, which may raise anything
            raise UnusablePlugin(
                f"{self.group}: {name!r} ({value}) cannot be imported: {type(error).__name__}: {error}"
            ) from error

    def _installed(self) -> dict[str, dict[str, EntryPoint]]:
        """For each name the places that claim it: more than one is a collision, of that name alone."""
        found: dict[str, dict[str, EntryPoint]] = {}
        for point in entry_points(group=self.group):
            found.setdefault(point.name, {})[point.value] = point
        return found
