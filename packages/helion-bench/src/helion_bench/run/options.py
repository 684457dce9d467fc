"""How a run measures; every figure in one place."""

from __future__ import annotations

import os
from dataclasses import dataclass

GPU = "helion_bench.measure.cuda:CudaDevice"
CPU = "helion_bench.measure.cpu:CpuDevice"
TARGETS = ("sm_80", "sm_90", "sm_100", "gfx942")
QUICK_TARGETS = ("sm_90", "gfx942")
_MOST_AT_ONCE = 14
_MOST_PROCESSES = 24  # each holds half a gigabyte of the GPU and two of the host
_SHARE_OF_MEMORY = 0.85  # of the GPU, for all processes together


@dataclass(frozen=True)
class Options:
    """`seconds`: of the whole run, None for as long as it takes; `case_seconds`: of the rounds of one case.

    `device` is the import path of a `Device`. `processes`: how many cases are compiled and checked before any of them
    is measured, each in its process, `at_once` of them side by side, with `memory` bytes of the GPU for all (None: no
    limit). `step_seconds` is what one step of one backend may take, a first call with its compilation for instance.
    `tune_seconds` bounds each search of a backend that tunes. Of inputs that are not ours to choose, `quick` takes
    fewer, `shapes` and `dtypes` those of these labels (patterns) and names.
    """

    device: str = GPU
    metrics: frozenset[str] = frozenset({"latency"})
    rounds: int = 12
    seconds: float | None = None
    case_seconds: float = 3.0
    step_seconds: float = 120.0
    tune_seconds: float = 60.0
    processes: int = 1
    at_once: int = 1
    memory: int | None = None
    targets: tuple[str, ...] = ()
    quick: bool = False
    shapes: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, device: str, metrics: frozenset[str], *, quick: bool = False, seconds: float | None = None,
        memory: int | None = None,
    ) -> Options:  # fmt: skip
        """For a device called "cuda" or "cpu"; without a GPU, nothing is timed and everything is cross-compiled.

        `memory`: bytes that the GPU has.
        """
        if device == "cpu":
            targets = QUICK_TARGETS if quick else TARGETS
            return cls(CPU, frozenset(), seconds=seconds, targets=targets, step_seconds=300.0, quick=quick)
        at_once = max(1, min(_MOST_AT_ONCE, len(os.sched_getaffinity(0)) - 2))
        return cls(
            GPU, metrics, rounds=8 if quick else 12, case_seconds=1.5 if quick else 3.0, seconds=seconds,
            processes=min(_MOST_PROCESSES, 2 * at_once), at_once=at_once,
            memory=None if memory is None else int(_SHARE_OF_MEMORY * memory), quick=quick,
        )  # fmt: skip
