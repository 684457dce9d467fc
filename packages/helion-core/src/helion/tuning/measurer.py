"""Measuring from the parent's side: in a process of its own, or in this one where there is no other way."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from helion_autotune.errors import CandidateTimeout, DeviceFault, JobFailed, LaunchError, WorkerCrashed
from helion_autotune.evaluate import Measurement, WorkerPool
from helion_autotune.evaluate.jobs import resolve

if TYPE_CHECKING:
    import torch

    from helion_autotune.evaluate import Compiled

log = logging.getLogger(__name__)

_DEVICE = "helion.tuning.device"
_LOAD_SECONDS = 120.0
_HANG_SECONDS = 5.0  # a candidate that takes longer than this and _HANG_RATIO times the best hangs
_HANG_RATIO = 500.0
_FIRST_SECONDS = 60.0  # before anything was measured
IDLE_SECONDS = 30.0  # how long a process that measures waits for another kernel to tune


class Measurer(Protocol):
    """Times candidates, one call at a time; see `helion_autotune.PipelineEvaluator`."""

    def __call__(self, compiled: Compiled, best_ms: float) -> Measurement: ...

    def interleave(self, compileds: Sequence[Compiled]) -> list[float | None]: ...

    def close(self) -> None: ...


class _Process:
    """Calls of functions of `helion.tuning.device` in a process that a candidate may take down.

    A second process has imported everything and waits to take the place of the first, for imports take seconds.
    """

    def __init__(self, index: int) -> None:
        self.index = index
        self._pool = self._started()
        self._spare: WorkerPool | None = None
        self._fresh = True

    def _started(self) -> WorkerPool:
        pool = WorkerPool(1, setup=(f"{_DEVICE}:warm", []))
        pool.warm_up()
        return pool

    def call(self, function: str, arguments: Sequence[Any], seconds: float) -> Any:
        if self._fresh:
            self._run("start", [self.index], _LOAD_SECONDS)
            self._fresh = False
            self._spare = self._spare or self._started()
        try:
            return self._run(function, arguments, seconds)
        except (DeviceFault, CandidateTimeout, WorkerCrashed):
            self._replace()
            raise

    def _run(self, function: str, arguments: Sequence[Any], seconds: float) -> Any:
        self._pool.timeout = seconds
        return self._pool.submit(f"{_DEVICE}:{function}", *arguments).result()

    def _replace(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._pool, self._spare = self._spare or self._started(), None
        self._fresh = True

    def release(self) -> None:
        """Gives the process back, to be used again soon or ended."""
        _idle.keep(self)

    def end(self) -> None:
        for pool in filter(None, (self._pool, self._spare)):
            pool.shutdown(wait=False, cancel_futures=True)


class _ThisProcess:
    """The same calls here: candidates can do harm, but tensors that hold device addresses stay valid."""

    def __init__(self, index: int) -> None:
        resolve(f"{_DEVICE}:warm")()
        resolve(f"{_DEVICE}:start")(index)

    def call(self, function: str, arguments: Sequence[Any], seconds: float) -> Any:
        return resolve(f"{_DEVICE}:{function}")(*arguments)

    def release(self) -> None:
        resolve(f"{_DEVICE}:release")()


class _Idle:
    """Processes between two kernels to tune, one per device; they end when nobody wants them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[int, tuple[_Process, threading.Timer]] = {}

    def take(self, index: int) -> _Process:
        with self._lock:
            process, timer = self._waiting.pop(index, (None, None))
        if timer is not None:
            timer.cancel()
        return process or _Process(index)

    def keep(self, process: _Process) -> None:
        try:
            process.call("release", [], 20.0)
        except Exception:  # whatever is wrong with it, a new one will do better
            process.end()
            return
        self._add(process)

    def prepare(self, index: int) -> None:
        with self._lock:
            if index in self._waiting:
                return
        self._add(_Process(index))

    def _add(self, process: _Process) -> None:
        timer = threading.Timer(IDLE_SECONDS, self._end, [process])
        timer.daemon = True
        with self._lock:
            other = self._waiting.pop(process.index, None)
            self._waiting[process.index] = (process, timer)
        if other is not None:
            other[1].cancel()
            other[0].end()
        timer.start()

    def _end(self, process: _Process) -> None:
        with self._lock:
            found = self._waiting.get(process.index)
            if found is None or found[0] is not process:
                return
            del self._waiting[process.index]
        process.end()


_idle = _Idle()


def _free_unused_memory() -> None:
    """Gives the device what torch's allocator holds in this process for later."""
    import torch

    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def device_index(device: torch.device) -> int:
    """The number of a CUDA device; `cuda` alone is the current one."""
    import torch

    return torch.cuda.current_device() if device.index is None else device.index


def prepare(device: torch.device) -> None:
    """Starts the process that will measure on `device`, unless one is there."""
    _idle.prepare(device_index(device))


class GpuMeasurer:
    """Measures on CUDA device `index`, in a process of its own if `isolate`. `check`: whether outputs must be right.

    `reference` is the candidate whose outputs count as right (see `Problem.payload`). Without a working reference,
    outputs are not checked, which is logged.
    """

    def __init__(self, index: int, check: bool = True, isolate: bool = True) -> None:
        self._calls: _Process | _ThisProcess = _idle.take(index) if isolate else _ThisProcess(index)
        self._check = check
        self._full = ""  # why the device cannot hold a copy of the arguments, once that is known
        self.reference: dict[str, Any] | None = None

    def __call__(self, compiled: Compiled, best_ms: float) -> Measurement:
        best = best_ms if math.isfinite(best_ms) else None
        self._load(compiled.payload["launch"]["arguments"])
        limit = _FIRST_SECONDS if best is None else max(_HANG_SECONDS, _HANG_RATIO * best / 1e3)
        answer = self._calls.call("measure", [compiled.payload, best, self._check], limit)
        return Measurement(float(answer["milliseconds"]), dict(answer["facts"]))

    def _load(self, path: str) -> None:
        reference = self.reference if self._check else None
        try:
            problem = self._loaded(path, reference)
        except (DeviceFault, CandidateTimeout, WorkerCrashed) as error:
            if reference is None:
                raise
            problem = str(error)
            self.reference = None
            self._loaded(path, None)
        if problem:
            self.reference = None
            log.warning("outputs are not checked, since the default config cannot be run: %s", problem)

    def _loaded(self, path: str, reference: dict[str, Any] | None) -> str:
        """Calls `load`; where memory is short, again after this process gave back what it has but does not use."""
        if self._full:
            raise LaunchError(self._full)
        try:
            return str(self._calls.call("load", [path, reference], _LOAD_SECONDS))
        except LaunchError:
            _free_unused_memory()
        try:
            return str(self._calls.call("load", [path, reference], _LOAD_SECONDS))
        except LaunchError as error:
            self._full = f"no room on the device for a copy of the arguments to measure with: {error}"
            log.warning("%s; free memory, or tune with smaller arguments and pin the config found", self._full)
            raise LaunchError(self._full) from None

    def interleave(self, compileds: Sequence[Compiled]) -> list[float | None]:
        if not compileds:
            return []
        try:
            self._load(compileds[0].payload["launch"]["arguments"])
            return list(self._calls.call("interleave", [[c.payload for c in compileds]], _FIRST_SECONDS))
        except (DeviceFault, CandidateTimeout, WorkerCrashed, JobFailed, LaunchError) as error:
            raise NotImplementedError(f"the play-off failed: {error}") from error

    def close(self) -> None:
        """Frees the GPU's memory."""
        self._calls.release()
