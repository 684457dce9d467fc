"""A ``concurrent.futures`` executor over warm, clean worker processes that survives whatever a job does.

Unlike ``ProcessPoolExecutor`` it never touches the user's ``__main__``, so it works from a script without a main
guard, from ``python -``, in a notebook and under pytest; a crash or a hang costs one job, not the pool; and nothing
is pickled.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING, Any, NamedTuple

from helion_autotune.errors import CandidateTimeout, DeviceFault, WorkerCrashed
from helion_autotune.evaluate.jobs import import_path
from helion_autotune.evaluate.process import WorkerProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

_WARM = "helion_autotune.evaluate.pool:_nothing"


class _Job(NamedTuple):
    """A call that waits for a process; `seconds` is its timeout."""

    future: Future[Any]
    path: str
    arguments: tuple[Any, ...]
    seconds: float | None


class WorkerPool(Executor):
    """Runs importable functions on JSON arguments in up to ``jobs`` processes (None: one per CPU of this process).

    ``setup`` is a function and its arguments, called once in every fresh process: it imports what is slow to
    import, makes inputs, takes a device. ``timeout`` is in seconds per job; a job that takes longer is killed with
    its process group and its future gets CandidateTimeout. ``start_timeout`` limits start and setup together. A job
    whose process dies gets WorkerCrashed, one that raises DeviceFault has its process replaced. ``env`` is added to
    the environment.

    Processes start when first needed and stay. They die with this process, however it ends. A process forked from this
    one has none of them, and cannot use the pool.
    """

    def __init__(
        self,
        jobs: int | None = None,
        *,
        timeout: float | None = 60.0,
        setup: tuple[Callable[..., Any] | str, Sequence[Any]] | None = None,
        start_timeout: float | None = 180.0,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.jobs = jobs or len(os.sched_getaffinity(0))
        self.timeout = timeout
        self._start_timeout = start_timeout
        self._setup = (import_path(setup[0]), list(setup[1])) if setup else (_WARM, [])
        self._env = dict(env or {})
        self._changed = threading.Condition()
        self._queue: deque[_Job] = deque()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._busy: dict[WorkerProcess, Future[Any] | None] = {}
        self._closed = False
        self._owner = os.getpid()

    def submit(self, fn: Callable[..., Any] | str, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Queue ``fn(*args)``; ``fn`` is a module-level function or its import path, arguments and result are JSON.

        Raises NotImportable for other functions, TypeError for keyword arguments, RuntimeError after shutdown and in a
        forked process.
        """
        if kwargs:
            raise TypeError("jobs take positional arguments only")
        return self.submit_within(self.timeout, fn, *args)

    def submit_within(self, seconds: float | None, fn: Callable[..., Any] | str, /, *args: Any) -> Future[Any]:
        """Like :meth:`submit`, with a timeout of the job's own."""
        path = import_path(fn)
        if os.getpid() != self._owner:  # no thread of its came along: a job would wait for ever
            raise RuntimeError("this pool belongs to the process that this one was forked from; make another one here")
        future: Future[Any] = Future()
        with self._changed:
            if self._closed:
                raise RuntimeError("the pool is shut down")
            self._queue.append(_Job(future, path, args, seconds))
            if self._idle < len(self._queue) and len(self._threads) < self.jobs:
                self._start_thread()
            self._changed.notify()
        return future

    def warm_up(self) -> None:
        """Start all processes now, in the background."""
        with self._changed:
            while len(self._threads) < self.jobs:
                self._start_thread()

    def cancel_all(self) -> None:
        """Cancel what is queued and kill what runs (those futures get WorkerCrashed); the pool stays usable."""
        with self._changed:
            queued, self._queue = self._queue, deque()
            for process in self._busy:
                process.kill()
        for job in queued:
            job.future.cancel()

    def cancel(self, futures: Iterable[Future[Any]]) -> None:
        """Like :meth:`cancel_all`, but only these: other users of the pool are not disturbed."""
        doomed = set(futures)
        for future in doomed:
            future.cancel()
        with self._changed:  # so that none of them can have gone on to a job of somebody else
            for process, future in self._busy.items():
                if future in doomed:
                    process.kill()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more jobs. Those queued still run unless ``cancel_futures``, which also kills what runs."""
        if cancel_futures:
            self.cancel_all()
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if wait:
            for thread in self._threads:
                thread.join()

    def _start_thread(self) -> None:
        thread = threading.Thread(target=self._serve, name=f"autotune-worker-{len(self._threads)}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _serve(self) -> None:
        """One thread per process, as long-lived as it: the kernel kills a worker when the thread that made it ends."""
        process: WorkerProcess | None = None
        with contextlib.suppress(Exception):  # what goes wrong is told to the first job, which tries again
            process = self._start()
        try:
            while (job := self._next_job()) is not None:
                if job.future.set_running_or_notify_cancel():
                    process = self._run(process, job)
        finally:
            if process is not None:
                process.close()

    def _next_job(self) -> _Job | None:
        with self._changed:
            self._idle += 1
            while not self._queue and not self._closed:
                self._changed.wait()
            self._idle -= 1
            return self._queue.popleft() if self._queue else None

    def _run(self, process: WorkerProcess | None, job: _Job) -> WorkerProcess | None:
        """Run one job; gives the process to use next, None if this one is spent."""
        try:
            if process is None:
                process = self._start()
            with self._marked_busy(process, job.future):
                result = process.call(job.path, job.arguments, job.seconds)
            job.future.set_result(result)
            if not process.killed:
                return process
            process.close()  # the order to kill it came after its answer
            return None
        except BaseException as error:
            job.future.set_exception(error)
            fatal = isinstance(error, (CandidateTimeout, WorkerCrashed, DeviceFault))
            spent = process is None or process.killed or fatal
            if spent and process is not None:
                process.close()
            return None if spent else process

    def _start(self) -> WorkerProcess:
        process = WorkerProcess(self._env)
        try:
            with self._marked_busy(process, None):
                process.call(*self._setup, self._start_timeout)
            if process.killed:
                raise WorkerCrashed("its process was killed while it started")
        except BaseException:
            process.close()
            raise
        return process

    @contextlib.contextmanager
    def _marked_busy(self, process: WorkerProcess, future: Future[Any] | None) -> Iterator[None]:
        with self._changed:
            self._busy[process] = future
        try:
            yield
        finally:
            with self._changed:
                self._busy.pop(process, None)


def _nothing() -> None:
    """The setup of pools that have none."""
