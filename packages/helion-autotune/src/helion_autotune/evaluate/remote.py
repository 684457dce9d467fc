"""Evaluation of whole points by an executor: several GPUs, several hosts (Dask), or threads.

Nothing of this is an engine of our own: whatever has the ``concurrent.futures`` interface does the work.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
from concurrent.futures import Future, InvalidStateError
from typing import TYPE_CHECKING, Any

from helion_autotune.evaluate.jobs import import_path, resolve
from helion_autotune.evaluate.pool import WorkerPool
from helion_autotune.trial import Trial, failed_trial

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Executor

    from helion_autotune.evaluate.protocol import Best
    from helion_autotune.points import Point


class ExecutorEvaluator:
    """Evaluates each point by one job: ``function(context, point, best_ms)``, which returns milliseconds or
    ``{"milliseconds": …, "facts": {…}, "compile_seconds": …}``.

    ``function`` is importable on the executor's side; ``context``, points and results are JSON; ``best_ms`` is None
    until something was measured. ``interleaved(context, points)`` measures finalists, in one job, so on one device.

    With ``isolate``, each job runs in a clean worker process beside the executor's own, which a candidate may crash
    or hang (killed after ``timeout`` seconds, finalists after as many times that) without harm. ``jobs`` is how many
    points to keep in flight. Cancelling drops what waits; what the executor runs already goes on to its end, for no
    executor can stop it, and its outcome is dropped.
    """

    def __init__(
        self,
        executor: Executor,
        function: Callable[..., Any] | str,
        context: Any = None,
        *,
        interleaved: Callable[..., Any] | str | None = None,
        jobs: int = 8,
        isolate: bool = False,
        timeout: float | None = 60.0,
    ) -> None:
        self.capacity = jobs
        self._executor, self._context = executor, context
        self._function = import_path(function)
        self._interleaved = None if interleaved is None else import_path(interleaved)
        self._isolate, self._timeout = isolate, timeout
        self._flight: dict[Future[Any], Future[Trial]] = {}

    def submit(self, point: Point, best: Best) -> Future[Trial]:
        best_ms = best.milliseconds if math.isfinite(best.milliseconds) else None
        job = self._executor.submit(
            run_point, self._function, self._context, point, best_ms, self._isolate, self._timeout
        )
        future: Future[Trial] = Future()
        self._flight[job] = future
        job.add_done_callback(lambda done: self._settle(done, point, future))
        return future

    def _settle(self, job: Future[Any], point: Point, future: Future[Trial]) -> None:
        self._flight.pop(job, None)
        try:
            trial = Trial.from_json(job.result())
        except BaseException as error:  # lost hosts, unpicklable errors: the executor's troubles cost one point each
            trial = failed_trial(point, error)
        with contextlib.suppress(InvalidStateError):  # cancelled in the meantime
            future.set_result(trial)

    def measure_interleaved(self, points: Sequence[Point]) -> list[float | None]:
        if self._interleaved is None:
            raise NotImplementedError("no `interleaved` function was given")
        arguments = [self._context, list(points)]
        seconds = None if self._timeout is None else self._timeout * len(points)
        return list(self._executor.submit(run_anywhere, self._interleaved, arguments, self._isolate, seconds).result())

    def cancel(self) -> None:
        for job, future in list(self._flight.items()):
            future.cancel()
            job.cancel()

    def close(self) -> None:
        """Drop what is in flight. The executor is the client's to shut down."""
        self.cancel()


def run_point(
    function: str, context: Any, point: Point, best_ms: float | None, isolate: bool, timeout: float | None
) -> dict[str, Any]:
    """Evaluate one point on the executor's side; gives a trial as JSON, whatever happens."""
    try:
        outcome = run_anywhere(function, [context, point, best_ms], isolate, timeout)
    except Exception as error:  # a candidate may raise anything, and only it is to be lost
        return failed_trial(point, error).to_json()
    measured: dict[str, Any] = outcome if isinstance(outcome, dict) else {"milliseconds": float(outcome)}
    return Trial(point, **measured).to_json()


def run_anywhere(function: str, arguments: list[Any], isolate: bool, timeout: float | None) -> Any:
    """Call a function here, or in a clean process beside this one."""
    if not isolate:
        return resolve(function)(*arguments)
    return _isolating_pool().submit_within(timeout, function, *arguments).result()


_pools: dict[int, WorkerPool] = {}
_pools_lock = threading.Lock()


def _isolating_pool() -> WorkerPool:
    """One pool per process of the executor; it starts as many processes as its threads use at once."""
    with _pools_lock:
        return _pools.setdefault(os.getpid(), WorkerPool())
