"""How a run measures; every figure in one place."""

from __future__ import annotations

import os
from dataclasses import dataclass

GPU = "helion_bench.measure.cuda:CudaDevice"
CPU = "helion_bench.measure.cpu:CpuDevice"
TARGETS = ("sm_80", "sm_90", "sm_100", "gfx942")
QUICK_TARGETS = ("sm_90", "gfx942")


@dataclass(frozen=True)
class Options:
    """`seconds`: of the whole run, None for as long as it takes; `case_seconds`: of the rounds of one case.

    `device` is the import path of a `Device`. `prepare`: processes that compile ahead while nothing is measured; 0
    leaves compiling to the process that measures. `step_seconds` is what one step of one backend may take, a first
    call with its compilation for instance. `tune_seconds` bounds each search of a backend that tunes.
    """

    device: str = GPU
    metrics: frozenset[str] = frozenset({"latency"})
    rounds: int = 12
    seconds: float | None = None
    case_seconds: float = 3.0
    step_seconds: float = 120.0
    tune_seconds: float = 60.0
    prepare: int = 0
    targets: tuple[str, ...] = ()

    @classmethod
    def of(cls, device: str, metrics: frozenset[str], *, quick: bool = False, seconds: float | None = None) -> Options:
        """For a device called "cuda" or "cpu"; without a GPU, nothing is timed and everything is cross-compiled."""
        if device == "cpu":
            targets = QUICK_TARGETS if quick else TARGETS
            return cls(CPU, frozenset(), seconds=seconds, targets=targets, step_seconds=300.0)
        prepare = min(8, len(os.sched_getaffinity(0)) // 2)
        return cls(GPU, metrics, rounds=8 if quick else 12, case_seconds=1.5 if quick else 3.0, seconds=seconds,
                   prepare=prepare if prepare > 1 else 0)  # fmt: skip
