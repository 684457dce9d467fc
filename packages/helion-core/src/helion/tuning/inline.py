"""Timing the configs that a kernel was given where there is no GPU: one call each, in this process."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch.utils._pytree import tree_map_only

from ..config import Config, as_config

if TYPE_CHECKING:
    from ..runtime.specialization import Specialization


def fastest_called(bound: Specialization, configs: Sequence[Any], args: Sequence[Any]) -> Config:
    """The config whose one call took least. Raises what all calls raise, if none succeeds."""
    best: tuple[float, Config] | None = None
    failure: Exception | None = None
    for config in map(as_config, configs):
        copies = tree_map_only(torch.Tensor, lambda t: t.detach().clone(), list(args))
        try:
            run = bound.compile_config(config).run
            start = time.perf_counter()
            run(*copies)
            seconds = time.perf_counter() - start
        except Exception as error:  # another config may work
            failure = error
            continue
        if best is None or seconds < best[0]:
            best = (seconds, config)
    if best is None:
        assert failure is not None
        raise failure
    return best[1]
