"""The table of aten operators that we lower ourselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

aten = torch.ops.aten
prims = torch.ops.prims

HANDLERS: dict[Any, Callable[..., Any]] = {}


def handles(*targets: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Registers a handler `(tracer, *args, **kwargs)` for operators (or all overloads of a packet)."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        for target in targets:
            overloads = (
                [target] if not hasattr(target, "overloads") else [getattr(target, o) for o in target.overloads()]
            )
            for overload in overloads:
                HANDLERS[overload] = function
        return function

    return register
