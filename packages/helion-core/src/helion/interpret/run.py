"""Calls a kernel as plain PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from types import FunctionType
from typing import Any

import torch

from ..config import Config
from ..frontend import engine
from .engine import EagerEngine


def eager_callable(
    function: FunctionType, config: Config, sites: Mapping[Any, Sequence[int]], rows: Set[int], device: torch.device
) -> Callable[..., Any]:
    """A function that runs the rewritten `function` tile by tile under `config`.

    `rows` are the block sizes of tiles whose rows have different lengths: those rows are run one by one.
    """
    sizes = [1 if k in rows else size for k, size in enumerate(config.get("block_sizes", ()))]

    def run(*args: Any) -> Any:
        with engine.activate(EagerEngine(sizes, sites, device, config)), torch.no_grad():
            return function(*args)

    return run
