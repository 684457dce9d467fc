"""Tunables: host values that the config chooses; a kernel is traced once for each choice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import exc, location
from ..config import LIST_KEYS, SCALAR_KEYS, SINGULAR

if TYPE_CHECKING:
    from .tracer import Tracer

_RESERVED = {*LIST_KEYS, *SCALAR_KEYS, *SINGULAR, "use_yz_grid"}


def register(tracer: Tracer, name: str, fragment: Any) -> Any:
    """The value of tunable `name` in this trace. Raises `InvalidConfig` for a name that means something else."""
    if tracer.in_device:
        raise exc.UnsupportedOperation(
            op="hl.register_tunable()", reason=" inside a tile loop", instead="register it before the tile loop",
            location=location.here(),
        )  # fmt: skip
    if name in _RESERVED or tracer.tunables.get(name, fragment) != fragment:
        raise exc.InvalidConfig(key=name, problem="is the name of another choice", allowed="register another name")
    tracer.tunables[name] = fragment
    return tracer.chosen.get(name, fragment.default)
