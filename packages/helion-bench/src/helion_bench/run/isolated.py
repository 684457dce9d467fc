"""Cases one after the other, each in a process that it may crash or hang: what that costs is one cell.

The process is warm: it goes on to the next case, and only a process that was lost is started anew.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from helion_autotune.errors import CandidateTimeout
from helion_autotune.evaluate import WorkerPool

from ..backends.backend import Backend
from ..results.model import CaseKey, Cell, Status
from . import outcome
from .options import Options
from .outcome import Outcome
from .progress import HUNG, last_step

_WORKER = "helion_bench.run.worker"


class Isolated:
    """Measures cases on backends. A context manager: the processes end with it, however it ends.

    `done` holds the keys of cells that need not be measured. `deadline`, of `time.monotonic`: no case begins after it.
    """

    def __init__(
        self, backends: Sequence[Backend], options: Options, device: str,
        done: Collection[tuple[CaseKey, str]] = (), deadline: float | None = None,
    ) -> None:  # fmt: skip
        self._backends, self._options, self._device = backends, options, device
        self._done, self._deadline = set(done), deadline
        self.out_of_time = False
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Isolated:
        options = self._options
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="helion-bench-"))
        self._progress = Path(folder) / "progress.json"
        env = {"HELION_AUTOTUNE_BUDGET_SECONDS": str(options.tune_seconds)}
        if "compile_time" in options.metrics:  # what another run compiled must not count as compiled by this one
            env |= {"TRITON_CACHE_DIR": f"{folder}/triton", "TORCHINDUCTOR_CACHE_DIR": f"{folder}/inductor"}
        setup = (f"{_WORKER}:warm", [options.device])
        self._pool = WorkerPool(1, timeout=None, setup=setup, env=env)  # steps are limited by the worker itself
        alone = env | {"TORCHINDUCTOR_COMPILE_THREADS": "1"}  # these processes are the threads
        self._preparing = WorkerPool(max(1, options.prepare), timeout=2 * options.step_seconds, setup=setup, env=alone)
        self._stack.callback(self._pool.shutdown, cancel_futures=True)
        self._stack.callback(self._preparing.shutdown, cancel_futures=True)
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def cells(self, cases: Sequence[CaseKey]) -> Iterator[Cell]:
        """The cells of `cases`, case by case."""
        size = max(1, 2 * self._options.prepare)
        for begin in range(0, len(cases), size):
            batch = cases[begin : begin + size]
            if self._expired():
                return
            compiled = self._prepared(batch)
            for case in batch:
                if self._expired():
                    return
                yield from self._case(case, compiled.get(case, {}))

    def _expired(self) -> bool:
        self.out_of_time = self._deadline is not None and time.monotonic() >= self._deadline
        return self.out_of_time

    # --- what can be told without measuring

    def _decided(self, case: CaseKey) -> dict[str, Outcome]:
        found = {}
        for backend in self._backends:
            if reason := why_not(backend, self._device):
                found[backend.name] = outcome.failed(reason, Status.MISSING)
            elif reason := backend.declines(case):
                found[backend.name] = outcome.failed(reason, Status.SKIPPED)
        return found

    def _open(self, case: CaseKey, decided: Collection[str]) -> list[Backend]:
        """The backends that are to be measured."""
        return [b for b in self._backends if b.name not in decided and (case, b.name) not in self._done]

    # --- compiling ahead

    def _prepared(self, cases: Sequence[CaseKey]) -> dict[CaseKey, Mapping[str, float]]:
        """Seconds of compiling by case and backend; nothing where compiling is left to the process that measures."""
        if not self._options.prepare:
            return {}
        futures: dict[CaseKey, Future[Any]] = {}
        for case in cases:
            names = [b.name for b in self._open(case, self._decided(case)) if b.compiles and not b.searches]
            if names:
                futures[case] = self._preparing.submit(f"{_WORKER}:prepare_case", self._request(case, names))
        found = {}
        for case, future in futures.items():
            with contextlib.suppress(Exception):  # it fails again, and is told of, where it is measured
                found[case] = future.result()
        return found

    # --- measuring

    def _case(self, case: CaseKey, compiled: Mapping[str, float]) -> Iterator[Cell]:
        outcomes = self._decided(case)
        names = [b.name for b in self._open(case, outcomes)]
        outcomes |= self._measured(case, names)
        for backend in self._backends:
            found = outcomes.get(backend.name)
            if found is None or (case, backend.name) in self._done:
                continue
            if "compile_time" in self._options.metrics:
                found["compile_seconds"] = self._compile_seconds(backend, found, compiled)
            yield outcome.cell(case, backend.name, found)

    def _compile_seconds(self, backend: Backend, found: Outcome, ahead: Mapping[str, float]) -> float | None:
        """Taken where it was compiled: ahead, or by the process that measures."""
        if not backend.compiles:
            return None
        here = backend.searches or not self._options.prepare
        return found.get("compile_seconds") if here else ahead.get(backend.name)

    def _measured(self, case: CaseKey, names: list[str]) -> dict[str, Outcome]:
        """Outcomes of `names`. A backend that ends the process, or does not come back, is left out of another try."""
        lost: dict[str, Outcome] = {}
        graphs = True
        while names:
            self._progress.unlink(missing_ok=True)
            try:
                request = self._request(case, names, graphs)
                return self._pool.submit(f"{_WORKER}:measure_case", request).result() | lost
            except Exception as error:  # of whatever kind: the process is replaced, somebody has lost a cell
                step = last_step(self._progress)
                failed = self._failure(error, step.name)
            if step.name == "capture" and graphs:
                graphs = False
            elif step.backend in names:
                lost[step.backend] = failed
                names = [name for name in names if name != step.backend]
            else:
                return lost | dict.fromkeys(names, failed)
        return lost

    def _failure(self, error: Exception, step: str) -> Outcome:
        text = str(error)
        if isinstance(error, CandidateTimeout) or HUNG in text:
            limit = f"{self._options.step_seconds:g} s"
            return outcome.failed(f"stopped after {limit} in its {step or 'start'}", Status.TIMEOUT)
        return outcome.failed(f"in its {step or 'start'}: {text}")

    def _request(self, case: CaseKey, names: Sequence[str], graphs: bool = True) -> dict[str, Any]:
        options = self._options
        return {
            "case": outcome.to_json(case),
            "backends": list(names),
            "device": options.device,
            "metrics": sorted(options.metrics),
            "rounds": options.rounds,
            "seconds": options.case_seconds,
            "step_seconds": options.step_seconds,
            "progress": str(self._progress),
            "graphs": graphs,
            "targets": list(options.targets),
        }


def why_not(backend: Backend, device: str) -> str | None:
    """Why `backend` cannot run on "cuda" or "cpu", or None."""
    if device == "cpu" and not backend.cpu:
        return "needs a GPU"
    return backend.why_not()
