"""Drives tritonbench's operators, each in a process of its own, and makes cells of what it reports."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from helion_autotune.errors import AutotuneError, CandidateTimeout
from helion_autotune.evaluate import WorkerPool

from ..backends import catalogue
from ..results.model import Backend, CaseKey, Cell, Role, Status
from ..run import outcome
from ..run.options import CPU, Options
from ..run.outcome import Outcome
from ..run.progress import HUNG, last_step
from .operators import Adapter

OURS = "helion"
_DRIVE = "helion_bench.tritonbench.driver:drive"
_MOST_LOST = 8  # backends of one operator that may end its process


def op_name(adapter: Adapter) -> str:
    """The operation of a case that is tritonbench's: `tritonbench.softmax`."""
    return f"tritonbench.{adapter.operator}"


class Driven:
    """Measures operators of the checkout at `root`. `measured` are names of operations that are done already."""

    def __init__(
        self, root: Path, adapters: Sequence[Adapter], options: Options, measured: Collection[str] = (),
        deadline: float | None = None,
    ) -> None:  # fmt: skip
        self._root, self._options, self._deadline = root, options, deadline
        self._adapters = [a for a in adapters if op_name(a) not in measured]
        self.out_of_time = False

    def cells(self) -> Iterator[Cell]:
        """The cells of all operators, operator by operator."""
        for adapter in self._adapters:
            if self._deadline is not None and time.monotonic() >= self._deadline:
                self.out_of_time = True
                return
            yield from self._operator(adapter)

    def _operator(self, adapter: Adapter) -> Iterator[Cell]:
        """A backend that ends the process is left out of another try."""
        lost: dict[str, Outcome] = {}
        whole = CaseKey(op_name(adapter), "all", (), "")
        with tempfile.TemporaryDirectory(prefix="helion-bench-") as folder:
            progress = Path(folder) / "progress.json"
            for _ in range(_MOST_LOST):
                progress.unlink(missing_ok=True)
                try:
                    answer = self._drive(self._request(adapter, progress, lost))
                    yield from (_cell(adapter, entry) for entry in answer["cells"])
                    break
                except AutotuneError as error:
                    step = last_step(progress)
                    failed = self._failure(error, step.name)
                if not step.backend or step.backend in lost:
                    yield outcome.cell(whole, "tritonbench", failed)
                    break
                lost[step.backend] = failed
        yield from (outcome.cell(whole, name, failed) for name, failed in lost.items())

    def _drive(self, request: dict[str, Any]) -> dict[str, Any]:
        with contextlib.closing(_Pool(1, timeout=None)) as pool:
            return pool.submit(_DRIVE, request).result()

    def _request(self, adapter: Adapter, progress: Path, lost: Collection[str]) -> dict[str, Any]:
        return {
            "root": str(self._root),
            "operator": adapter.operator,
            "device": self._options.device,
            "cpu": self._options.device == CPU,
            "skip": sorted(lost),
            "progress": str(progress),
            "step_seconds": self._options.step_seconds,
        }

    def _failure(self, error: Exception, step: str) -> Outcome:
        if isinstance(error, CandidateTimeout) or HUNG in str(error):
            text = f"stopped after {self._options.step_seconds:g} s in its {step or 'start'}"
            return outcome.failed(text, Status.TIMEOUT)
        return outcome.failed(f"in its {step or 'start'}: {error}")


class _Pool(WorkerPool):
    def close(self) -> None:
        """End the process, whatever it does: it is of no use to another operator."""
        self.shutdown(cancel_futures=True)


def backends(cells: Collection[Cell], version: str) -> list[Backend]:
    """The backends of tritonbench that `cells` name, as a run lists them; ours is as it is."""
    names = dict.fromkeys(c.backend for c in cells if c.case.op.startswith("tritonbench."))
    ours = catalogue.backend(OURS)
    listed = [Backend(ours.name, ours.role, ours.version(), ours.description)] if OURS in names else []
    peers = [name for name in names if name != OURS]
    return [*listed, *(Backend(name, Role.PEER, version, "a backend of tritonbench") for name in peers)]


def _cell(adapter: Adapter, entry: dict[str, Any]) -> Cell:
    case = CaseKey(op_name(adapter), entry["shape"], (), entry["dtype"])
    return outcome.cell(case, entry["backend"], entry["outcome"])
