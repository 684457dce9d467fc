"""The engine that language functions call; outside a kernel they raise `NotInsideKernel`."""

from __future__ import annotations

from typing import Any

from .. import exc, location
from ..frontend import engine


def require(name: str) -> Any:
    """The active engine, for the language function `name`."""
    found = engine.current()
    if found is None:
        raise exc.NotInsideKernel(name=name, location=location.here())
    return found


def require_device(name: str) -> Any:
    """The active engine, for a function that only device code may call."""
    found = require(name)
    if not found.in_device:
        raise exc.NotInsideKernel(name=name, location=location.here())
    return found


def run(name: str, *args: Any) -> Any:
    """Has the active engine carry out `hl.<name>`, which only device code may call."""
    return require_device(f"hl.{name}").library(name, *args)
