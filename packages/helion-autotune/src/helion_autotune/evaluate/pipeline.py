"""The evaluator for compiled things: many compile in parallel while one at a time is measured.

::

    point ──prepare──▶ payload ──compile (pool)──▶ Compiled ──screen──▶ measure (one thread) ──▶ Trial
              │ same payload: same candidate           │ same binary: same candidate

``prepare``, ``screen`` and ``measure`` are the client's functions in this process; ``compile`` is named by import
path and runs wherever the executor runs it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import queue
import statistics
import threading
from concurrent.futures import CancelledError, Future, InvalidStateError
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from helion_autotune.errors import CandidateError, CompileError, JobFailed, Screened
from helion_autotune.evaluate.jobs import import_path, timed_call
from helion_autotune.evaluate.pool import WorkerPool
from helion_autotune.points import digest
from helion_autotune.trial import Status, Trial, failed_trial

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Executor

    from helion_autotune.evaluate.protocol import Best
    from helion_autotune.points import Point

_AHEAD = 4
"""Compiled candidates that may wait for the measuring thread."""
_PATIENCE = 8.0
"""How many times as long as the others (their median) a candidate may compile."""
_LEAST_SECONDS = 6.0


@dataclass(frozen=True)
class Compiled:
    """A candidate that compiled.

    ``payload`` is what ``prepare`` gave for the point, ``output`` the JSON object that the compile function
    returned. Two keys of it mean something here: ``facts`` (a mapping, kept in the trial) and ``binary`` (a hash:
    candidates that share it are measured once, so it must cover all that decides the time, launch parameters
    included).
    """

    point: Point
    key: str
    payload: Any
    output: dict[str, Any]
    seconds: float

    @property
    def facts(self) -> dict[str, Any]:
        """What the compiler said: registers, spills, shared memory."""
        return dict(self.output.get("facts", {}))


@dataclass(frozen=True)
class Measurement:
    """What measuring gave: milliseconds, and JSON facts to keep in the trial (``{"cut": True}`` for a slow one)."""

    milliseconds: float
    facts: dict[str, Any] = dataclasses.field(default_factory=dict)


class PipelineEvaluator:
    """Compiles with ``compiler`` (any ``concurrent.futures`` executor; a WorkerPool by habit), measures in one thread.

    - ``prepare(point)`` gives the JSON payload to compile: source text, target, options. Equal payloads are one
      candidate.
    - ``compile``: import path of ``function(payload) -> {"binary": …, "facts": {…}, …}``.
    - ``screen(compiled)``: why not to measure this candidate, or None.
    - ``measure(compiled, best_ms)`` gives milliseconds or a Measurement. ``best_ms`` is the best time so far
      (infinite at first), so that a candidate that is clearly slower can be cut after one run.
    - ``interleave(compileds)`` measures finalists against each other; None for one that fails.

    In a WorkerPool a candidate that compiles far longer than the others do is given up (CandidateTimeout).

    All of them may raise a CandidateError, which decides the trial's status; any other exception counts as a
    compile error in ``prepare`` and ``compile``, and as a crash elsewhere. ``measure`` and ``interleave`` are never
    called at the same time.
    """

    def __init__(
        self,
        *,
        prepare: Callable[[Point], Any],
        compiler: Executor,
        compile: Callable[..., Any] | str,
        measure: Callable[[Compiled, float], float | Measurement],
        screen: Callable[[Compiled], str | None] | None = None,
        interleave: Callable[[Sequence[Compiled]], Sequence[float | None]] | None = None,
        capacity: int | None = None,
    ) -> None:
        jobs = getattr(compiler, "jobs", None) or getattr(compiler, "_max_workers", None) or 8
        self.capacity = capacity or jobs + _AHEAD
        self._prepare, self._compiler, self._compile = prepare, compiler, import_path(compile)
        self._measure, self._screen, self._interleave = measure, screen, interleave
        self._sources: dict[str, Candidate] = {}
        self._binaries: dict[str, Candidate] = {}
        self._compiled: dict[str, Compiled] = {}
        self._seconds: list[float] = []
        self._lock = threading.Lock()
        self._flight: set[Candidate] = set()
        self._ready: queue.SimpleQueue[Candidate | None] = queue.SimpleQueue()
        self._measuring = threading.Lock()
        self._thread: threading.Thread | None = None

    def submit(self, point: Point, best: Best) -> Future[Trial]:
        candidate = Candidate(point, best)
        try:
            payload = self._prepare(point)
            source = digest(payload)
        except Exception as error:  # the client's code generator may raise anything on a strange point
            candidate.fail(_as_compile_error(error))
            return candidate.future
        if self._follows(self._sources, source, candidate):
            return candidate.future
        with self._lock:
            self._flight.add(candidate)
        candidate.payload = payload
        try:
            candidate.job = self._submitted(payload)
        except Exception as error:  # an executor that is broken or shut down
            self._settle(candidate, error=_as_compile_error(error))
            return candidate.future
        candidate.job.add_done_callback(lambda job: self._after_compile(candidate, job))
        return candidate.future

    def _submitted(self, payload: Any) -> Future[Any]:
        """Compiles; a pool of ours gives up on what takes far longer than the others: a search waits for its last."""
        if not isinstance(self._compiler, WorkerPool):
            return self._compiler.submit(timed_call, self._compile, payload)
        limit = self._compiler.timeout
        with self._lock:
            usual = statistics.median(self._seconds) if self._seconds else None
        if usual is not None:
            limit = min(limit or math.inf, max(_LEAST_SECONDS, _PATIENCE * usual))
        return self._compiler.submit_within(limit, timed_call, self._compile, payload)

    def _follows(self, leaders: dict[str, Candidate], key: str, candidate: Candidate) -> bool:
        """Whether another candidate has this key; then this one shares its outcome, else it becomes the leader."""
        with self._lock:
            leader = leaders.setdefault(key, candidate)
            if leader is not candidate and leader.dropped:
                leader = leaders[key] = candidate
        if leader is candidate:
            return False
        leader.future.add_done_callback(lambda done: candidate.copy(done))
        return True

    def _after_compile(self, candidate: Candidate, job: Future[Any]) -> None:
        """Runs in whatever thread finished the job."""
        try:
            compiled = _as_compiled(candidate.point, candidate.key, candidate.payload, job.result())
        except CancelledError:
            self._drop(candidate)
            return
        except BaseException as error:  # whatever the compiler does wrong costs this candidate only
            self._settle(candidate, error=_as_compile_error(error))
            return
        with self._lock:
            self._seconds.append(compiled.seconds)
        candidate.compiled = self._compiled[candidate.key] = compiled
        self._ready.put(candidate)
        self._start_thread()

    def _start_thread(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="autotune-measure", daemon=True)
                self._thread.start()

    def _serve(self) -> None:
        while (candidate := self._ready.get()) is not None:
            with self._measuring:
                if not candidate.dropped:
                    self._finish(candidate)

    def _finish(self, candidate: Candidate) -> None:
        compiled = candidate.compiled
        assert compiled is not None
        binary = compiled.output.get("binary")
        if binary is not None and self._follows(self._binaries, str(binary), candidate):
            with self._lock:
                self._flight.discard(candidate)
            return
        try:
            reason = self._screen(compiled) if self._screen is not None else None
            if reason:
                raise Screened(reason)
            trial = candidate.succeeded(self._measure(compiled, candidate.best.milliseconds))
        except BaseException as error:  # the client's code may raise anything, and without this thread all would wait
            self._settle(candidate, error=error)
        else:
            self._settle(candidate, trial)

    def _settle(self, candidate: Candidate, trial: Trial | None = None, error: BaseException | None = None) -> None:
        with self._lock:
            self._flight.discard(candidate)
        if trial is not None:
            candidate.settle(trial)
        elif error is not None:
            candidate.fail(error)

    def _drop(self, candidate: Candidate) -> None:
        candidate.dropped = True
        with self._lock:
            self._flight.discard(candidate)
        candidate.future.cancel()

    def measure_interleaved(self, points: Sequence[Point]) -> list[float | None]:
        if self._interleave is None:
            raise NotImplementedError("no `interleave` function was given")
        futures = [self._compiled_again(point) for point in points]
        compiled = [f for f in futures if f is not None]
        with self._measuring:
            times = iter(self._interleave(compiled)) if compiled else iter(())
        return [None if f is None else next(times) for f in futures]

    def _compiled_again(self, point: Point) -> Compiled | None:
        """What a point compiled to; compiled now if its time came from a journal or a cache."""
        key = Candidate(point).key
        if key not in self._compiled:
            try:
                payload = self._prepare(point)
                answer = self._compiler.submit(timed_call, self._compile, payload).result()
                self._compiled[key] = _as_compiled(point, key, payload, answer)
            except Exception:  # it worked once; if it fails now it simply takes no part
                return None
        return self._compiled[key]

    def cancel(self) -> None:
        with self._lock:
            dropped = list(self._flight)
        for candidate in dropped:
            self._drop(candidate)
        jobs = [c.job for c in dropped if c.job is not None]
        for job in jobs:
            job.cancel()
        if isinstance(self._compiler, WorkerPool):
            self._compiler.cancel(jobs)
        with self._measuring:
            pass  # the measurement that was running has ended

    def close(self) -> None:
        """End the measuring thread. The compiler is the client's to shut down."""
        self.cancel()
        self._ready.put(None)


class Candidate:
    """A point on its way through the pipeline."""

    def __init__(self, point: Point, best: Best | None = None) -> None:
        self.point = point
        self.key = Trial(point).key
        self.best: Any = best
        self.payload: Any = None
        self.job: Future[Any] | None = None
        self.compiled: Compiled | None = None
        self.dropped = False
        self.future: Future[Trial] = Future()

    def succeeded(self, measured: float | Measurement) -> Trial:
        """The outcome if it ran and was right. Raises TypeError or ValueError where `measured` is no measurement."""
        if not isinstance(measured, Measurement):
            measured = Measurement(float(measured))
        facts = {**self._facts(), **measured.facts}
        return Trial(self.point, Status.OK, measured.milliseconds, self._seconds(), facts=facts)

    def fail(self, error: BaseException) -> None:
        """It is lost; the error says how."""
        self.settle(failed_trial(self.point, error, compile_seconds=self._seconds(), facts=self._facts()))

    def copy(self, leader: Future[Trial]) -> None:
        """Share the outcome of an equal candidate. A failure keeps its status, a success becomes a duplicate."""
        if leader.cancelled() or leader.exception() is not None:
            self.future.cancel()
            return
        trial = leader.result()
        status = Status.DUPLICATE if trial.ok else trial.status
        facts = {**self._facts(), "same_as": trial.facts.get("same_as", trial.key)}
        self.settle(Trial(self.point, status, trial.milliseconds, self._seconds(), trial.message, facts))

    def settle(self, trial: Trial) -> None:
        """Gives the outcome to whoever waits for it."""
        with contextlib.suppress(InvalidStateError):  # dropped in the meantime
            self.future.set_result(trial)

    def _facts(self) -> dict[str, Any]:
        return self.compiled.facts if self.compiled else {}

    def _seconds(self) -> float:
        return self.compiled.seconds if self.compiled else 0.0


def _as_compiled(point: Point, key: str, payload: Any, answer: dict[str, Any]) -> Compiled:
    """Raises CompileError for an answer that is not what compile functions give."""
    output = answer["output"] or {}
    if not isinstance(output, dict) or not isinstance(output.get("facts", {}), dict):
        raise CompileError(f"the compile function gave {output!r} instead of a mapping, with a mapping as its `facts`")
    return Compiled(point, key, payload, output, answer["seconds"])


def _as_compile_error(error: BaseException) -> CandidateError:
    if isinstance(error, CandidateError) and not isinstance(error, JobFailed):
        return error
    return CompileError(str(error) if isinstance(error, JobFailed) else f"{type(error).__name__}: {error}")
