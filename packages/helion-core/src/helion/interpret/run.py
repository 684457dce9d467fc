"""Calls a kernel as plain PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import FunctionType
from typing import Any

import torch

from ..config import Config
from ..frontend import engine
from .engine import EagerEngine


def eager_callable(
    function: FunctionType, config: Config, sites: Mapping[Any, Sequence[int]], device: torch.device
) -> Callable[..., Any]:
    """A function that runs the rewritten `function` tile by tile under `config`."""

    def run(*args: Any) -> Any:
        with engine.activate(EagerEngine(config.get("block_sizes", ()), sites, device)), torch.no_grad():
            return function(*args)

    return run
