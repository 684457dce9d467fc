"""The engine that language functions call; outside a kernel they raise `NotInsideKernel`."""

from __future__ import annotations

from typing import Any

from .. import exc
from ..frontend import engine

# torch has these by the same name.
_ON_THE_HOST = frozenset({"hl.zeros", "hl.full", "hl.arange", "hl.cumsum", "hl.cumprod"})


def require(name: str) -> Any:
    """The active engine, for the language function `name`."""
    found = engine.current()
    if found is None:
        raise exc.NotInsideKernel(name=name, region="a kernel", inside="a function decorated with @helion.kernel")
    return found


def require_device(name: str) -> Any:
    """The active engine, for a function that only device code may call."""
    found = require(name)
    if not found.in_device:
        host = f", or torch.{name.removeprefix('hl.')} on the host" if name in _ON_THE_HOST else ""
        raise exc.NotInsideKernel(name=name, region="a tile loop", inside=f"`for tile in hl.tile(...)`{host}")
    return found


def run(name: str, *args: Any) -> Any:
    """Has the active engine carry out `hl.<name>`, which only device code may call."""
    return require_device(f"hl.{name}").library(name, *args)
