"""A process that has one case at a time: it is asked to check it, and later to measure it."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from helion_autotune.evaluate import WorkerPool

from .progress import Step, last_step

_WORKER = "helion_bench.run.worker"


class Station:
    """One process, started when it is first needed and again when it was lost. `file` tells what it is at."""

    def __init__(self, file: Path, device: str, env: Mapping[str, str]) -> None:
        self._file = file
        # no time limit here: the worker limits each of its steps
        self._pool = WorkerPool(1, timeout=None, setup=(f"{_WORKER}:warm", [device]), env=env)

    def check(self, request: Mapping[str, Any]) -> Future[bool]:
        """Whether the case was checked, or has to be once nobody else is at work."""
        return self._submit("check_case", {**request, "progress": str(self._file)})

    def time(self, seconds: float) -> Future[dict[str, dict[str, Any]]]:
        """Outcomes by backend of the case that was checked last."""
        return self._submit("time_case", seconds)

    def _submit(self, function: str, *arguments: Any) -> Future[Any]:
        self._file.unlink(missing_ok=True)
        return self._pool.submit(f"{_WORKER}:{function}", *arguments)

    @property
    def step(self) -> Step:
        """What it was at last, of what it was asked last."""
        return last_step(self._file)

    def close(self) -> None:
        """Kill the process."""
        self._pool.shutdown(cancel_futures=True)
