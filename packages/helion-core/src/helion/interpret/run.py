"""Calls a kernel as plain PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any

import torch

from ..config import Config
from ..frontend import engine
from ..trace.places import Places
from .engine import EagerEngine


def eager_callable(function: FunctionType, config: Config, places: Places, device: torch.device) -> Callable[..., Any]:
    """A function that runs the rewritten `function` tile by tile under `config`.

    Rows of different lengths run one by one.
    """
    sizes = [1 if k in places.rows else size for k, size in enumerate(config.get("block_sizes", ()))]

    def run(*args: Any) -> Any:
        with engine.activate(EagerEngine(sizes, places, device, config)), torch.no_grad():
            return function(*args)

    return run
