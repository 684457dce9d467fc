"""Cases in processes that they may crash or hang: what that costs is one cell.

Compiling and checking take most of the time, and the GPU hardly any part in it. So as many cases as there are
processes and memory are checked side by side; when all of them are, each is measured in its process, one at a time,
while the others wait. There are more processes than are at work at once, so that fewer wait for the slowest. They are
warm: they go on to further cases, and only one that was lost is started anew.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helion_autotune.errors import CandidateTimeout

from ..backends.asking import refusal
from ..backends.backend import Backend
from ..results.model import CaseKey, Cell, Status
from . import outcome
from .options import Options
from .outcome import Outcome
from .pace import Pace
from .progress import HUNG
from .station import Station

# Bytes of the GPU for a process, and, as a multiple of what a case must move, for its check: a reference in float64,
# results, and what is compared. What is checked keeps its inputs.
_MEMORY_FLOOR = 1 << 30
_MEMORY_FACTOR = 6


@dataclass
class _Entry:
    """A case on its way: where it is, whom it is still to be checked or measured for, what became of the others."""

    case: CaseKey
    station: Station
    names: list[str]
    outcomes: dict[str, Outcome]
    checked: bool = False
    graphs: bool = True
    again: bool = True
    """Whether a process that was lost at no step, so that nobody is to blame, is forgiven."""

    @property
    def kept(self) -> int:
        """Bytes of the GPU that it keeps between check and measurement."""
        return _memory(self.case, 1)

    @property
    def needed(self) -> int:
        """Bytes of the GPU that its check takes."""
        return _memory(self.case, _MEMORY_FACTOR)


class Isolated:
    """Measures cases on backends. A context manager: the processes end with it, however it ends.

    `done` holds the keys of cells that need not be measured. `deadline`, of `time.monotonic`: no case begins after it.
    """

    def __init__(
        self, backends: Sequence[Backend], options: Options, device: str,
        done: Collection[tuple[CaseKey, str]] = (), deadline: float | None = None,
    ) -> None:  # fmt: skip
        self._backends, self._options, self._device = backends, options, device
        self._done = set(done)
        self._pace = Pace(deadline, options.case_seconds)
        self.out_of_time = False
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Isolated:
        options = self._options
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="helion-bench-"))
        env = {"HELION_AUTOTUNE_BUDGET_SECONDS": str(options.tune_seconds)}
        if "compile_time" in options.metrics:  # what another run compiled must not count as compiled by this one
            env |= {"TRITON_CACHE_DIR": f"{folder}/triton", "TORCHINDUCTOR_CACHE_DIR": f"{folder}/inductor"}
        if options.processes > 1:
            env |= {"TORCHINDUCTOR_COMPILE_THREADS": "1"}  # these processes are the threads
        self._stations = [
            Station(Path(folder) / f"progress-{k}.json", options.device, env) for k in range(options.processes)
        ]
        for station in self._stations:
            self._stack.callback(station.close)
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def cells(self, cases: Sequence[CaseKey]) -> Iterator[Cell]:
        """The cells of `cases`, case by case."""
        waiting = list(cases)
        while waiting:
            count = self._pace.room(len(self._stations))
            self.out_of_time = self._pace.expired or not count
            if self.out_of_time:
                return
            batch = self._next(waiting, count)
            entries = [self._entry(*pair) for pair in zip(batch, self._stations, strict=False)]
            self._check(entries)
            for k, entry in enumerate(entries):
                self.out_of_time = self._pace.expired
                if self.out_of_time:
                    return
                self._measure(entry, len(waiting) + len(entries) - k)
                yield from self._cells(entry)

    def _next(self, waiting: list[CaseKey], count: int) -> list[CaseKey]:
        """Take from `waiting` the first case and more, `count` at most, that half of the memory holds the inputs of."""
        room = self._options.memory
        batch, kept = [], 0
        for case in list(waiting):
            if len(batch) == count:
                break
            if batch and room is not None and kept + _memory(case, 1) > room // 2:
                continue
            kept += _memory(case, 1)
            batch.append(case)
            waiting.remove(case)
        return batch

    def _entry(self, case: CaseKey, station: Station) -> _Entry:
        decided = self._decided(case)
        names = [b.name for b in self._backends if b.name not in decided and (case, b.name) not in self._done]
        return _Entry(case, station, names, decided)

    def _cells(self, entry: _Entry) -> Iterator[Cell]:
        for backend in self._backends:
            if backend.name in entry.outcomes and (entry.case, backend.name) not in self._done:
                yield outcome.cell(entry.case, backend.name, entry.outcomes[backend.name])

    # --- what can be told without measuring

    def _decided(self, case: CaseKey) -> dict[str, Outcome]:
        found = {}
        for backend in self._backends:
            if refused := refusal(backend, case, self._device):
                status, reason = refused
                found[backend.name] = outcome.failed(reason, status)
        return found

    # --- all at once, while nothing is measured

    def _check(self, entries: Sequence[_Entry]) -> None:
        begin = time.monotonic()
        waiting = [entry for entry in entries if entry.names]
        running: dict[Future[bool], _Entry] = {}
        ended: list[_Entry] = []
        while waiting or running:
            while (entry := self._fitting(waiting, running.values(), ended)) is not None:
                waiting.remove(entry)
                running[self._submitted(entry, shared=len(entries) > 1)] = entry
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                entry = running.pop(future)
                try:
                    entry.checked = future.result()
                except Exception as error:
                    self._lose(entry, error)
                (waiting if entry.names and future.exception() else ended).append(entry)
        self._pace.checked(len(ended), time.monotonic() - begin)

    def _fitting(
        self, waiting: Sequence[_Entry], running: Collection[_Entry], ended: Sequence[_Entry]
    ) -> _Entry | None:
        """The first of `waiting` that there is a process and memory for."""
        if len(running) >= self._options.at_once:
            return None
        used = sum(entry.needed for entry in running) + sum(entry.kept for entry in ended)
        room = self._options.memory
        fit = (entry for entry in waiting if room is None or not running or used + entry.needed <= room)
        return next(fit, None)

    def _submitted(self, entry: _Entry, shared: bool) -> Future[bool]:
        return entry.station.check(self._request(entry, shared))

    # --- one at a time

    def _measure(self, entry: _Entry, left: int) -> None:
        """`left` cases are to be measured, this one included."""
        while entry.names:
            try:
                if not entry.checked:
                    entry.checked = self._submitted(entry, shared=False).result()
                outcomes = entry.station.time(self._pace.share(left)).result()
            except Exception as error:
                self._lose(entry, error)
                continue
            entry.outcomes |= outcomes
            self._pace.measured(sum(_rounds(one) for one in outcomes.values()))
            return

    # --- what goes wrong

    def _lose(self, entry: _Entry, error: Exception) -> None:
        """A backend that ended the process, or did not come back, is left out of another try."""
        step = entry.station.step
        failed = self._failure(error, step.name)
        entry.checked = False  # of whatever kind the error is: what the process knew is lost
        if step.name == "capture" and entry.graphs:
            entry.graphs = False
        elif step.backend in entry.names:
            entry.outcomes[step.backend] = failed
            entry.names.remove(step.backend)
        elif not step.name and entry.again:
            entry.again = False
        else:
            entry.outcomes |= dict.fromkeys(entry.names, failed)
            entry.names.clear()

    def _failure(self, error: Exception, step: str) -> Outcome:
        text = str(error)
        if isinstance(error, CandidateTimeout) or HUNG in text:
            limit = f"{self._options.step_seconds:g} s"
            return outcome.failed(f"stopped after {limit} in its {step or 'start'}", Status.TIMEOUT)
        return outcome.failed(f"in its {step or 'start'}: {text}")

    def _request(self, entry: _Entry, shared: bool) -> dict[str, Any]:
        options = self._options
        return {
            "case": outcome.to_json(entry.case),
            "backends": list(entry.names),
            "device": options.device,
            "metrics": sorted(options.metrics),
            "rounds": options.rounds,
            "step_seconds": options.step_seconds,
            "graphs": entry.graphs,
            "targets": list(options.targets),
            "shared": shared,
        }


def _memory(case: CaseKey, factor: int) -> int:
    return _MEMORY_FLOOR + factor * (outcome.cost(case)[0] or 0)


def _rounds(found: Mapping[str, Any]) -> float:
    """Seconds that the rounds of a backend took."""
    return sum(seconds for step, seconds in found.get("spent", ()) if step == "rounds")
