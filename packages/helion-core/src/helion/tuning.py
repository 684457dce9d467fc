"""Choosing a config by measuring: the candidates and how one is timed."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch

from .config import Config

if TYPE_CHECKING:
    from .runtime.bound import BoundKernel


def choose(bound: BoundKernel, args: Sequence[Any], force: bool = False) -> Config:
    """The fastest of the configs given to the kernel; without any, the default config."""
    candidates = bound.kernel.configs
    if not candidates:
        return bound.default_config()
    timed = [(measure(bound, config, args), k) for k, config in enumerate(candidates)]
    return candidates[min(timed)[1]]


def measure(bound: BoundKernel, config: Config, args: Sequence[Any], repeats: int = 5) -> float:
    """Milliseconds of one call under `config`: the median of a few runs, on copies of the arguments."""
    run = bound.compile_config(config).run
    copies = [a.clone() if isinstance(a, torch.Tensor) else a for a in args]
    run(*copies)
    if bound.device.type == "cuda":
        from triton.testing import do_bench

        time_of: Callable[..., Any] = do_bench
        return float(time_of(lambda: run(*copies), return_mode="median"))
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run(*copies)
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)
