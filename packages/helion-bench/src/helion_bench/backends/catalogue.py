"""All backends by name."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from helion_autotune.registry import Registry

from ..errors import InvalidRequest
from ..plugins import make, usable
from ..results.model import Role
from .backend import Backend

REGISTRY: Registry[type[Backend]] = Registry("helion_bench.backends")
"""Backends of installed packages, and those that a program registers itself."""


@functools.lru_cache(maxsize=256)
def backend(name: str) -> Backend:
    """The backend of that name. Raises `InvalidRequest` naming those there are, `UnusablePlugin`."""
    if name not in REGISTRY.names():
        raise InvalidRequest(f"there is no backend {name!r}", known=[*REGISTRY.names(), "all"])
    return make(REGISTRY, name, Backend)  # type: ignore[type-abstract]


def backends(names: Sequence[str] = ()) -> list[Backend]:
    """Those named, ours first; nothing named means those of a routine run, `all` means all."""
    if names and "all" not in names:
        chosen = [backend(name) for name in dict.fromkeys(names)]
    else:
        chosen = [b for b in usable(REGISTRY.names(), backend) if names or b.routine]
    return sorted(chosen, key=lambda b: b.role is not Role.OURS)
