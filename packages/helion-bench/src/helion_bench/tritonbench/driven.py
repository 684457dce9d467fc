"""Drives tritonbench's operators, each in a process of its own, and makes cells of what it records."""

from __future__ import annotations

import concurrent.futures
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
from .record import Reader

OURS = "helion"
WHOLE = "all"
"""The shape of a cell that stands for all inputs: of a backend that ended the process, or of the whole operator."""
_DRIVER = "helion_bench.tritonbench.driver"
_MOST_LOST = 8  # backends of one operator that may end its process
_QUICK = 3  # of the inputs otherwise taken, one in so many
_LEAST_STEP = 10.0  # seconds for one backend, however short the run
_POLL = 0.5
_ENV = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}  # JAX, where a backend uses it, takes most of the GPU's memory


def op_name(adapter: Adapter) -> str:
    """The operation of a case that is tritonbench's: `tritonbench.softmax`."""
    return f"tritonbench.{adapter.operator}"


class Driven:
    """Measures operators of the checkout at `root`, without what is `done`; `out_of_time` if not all of the rest."""

    def __init__(
        self, root: Path, adapters: Sequence[Adapter], options: Options,
        done: Collection[tuple[CaseKey, str]] = (), deadline: float | None = None,
    ) -> None:  # fmt: skip
        self._root, self._options, self._deadline = root, options, deadline
        failed = {case.op for case, backend in done if backend == "tritonbench"}
        self._adapters = [a for a in adapters if op_name(a) not in failed]
        self._done = done
        self.out_of_time = False

    def cells(self) -> Iterator[Cell]:
        """The cells of all operators, operator by operator, each as soon as it is measured."""
        pools = [_Pool(1, timeout=None, env=_ENV) for _ in self._adapters]
        with contextlib.ExitStack() as stack:
            for pool in pools:
                stack.enter_context(contextlib.closing(pool))
            self._load(pools)
            for number, (adapter, pool) in enumerate(zip(self._adapters, pools, strict=True)):
                seconds = self._share(len(pools) - number)
                if seconds is not None and seconds <= 0:
                    self.out_of_time = True
                    return
                with contextlib.closing(pool):
                    yield from self._operator(adapter, pool, seconds)

    def _load(self, pools: Sequence[_Pool]) -> None:
        """Import all operators side by side, and wait: nothing is measured beside it. Errors come up again later."""
        most = self._options.step_seconds
        concurrent.futures.wait([
            pool.submit_within(most, f"{_DRIVER}:load", str(self._root), adapter.operator)
            for adapter, pool in zip(self._adapters, pools, strict=True)
        ])  # fmt: skip

    def _share(self, operators: int) -> float | None:
        """Seconds of the next of so many operators that are left."""
        return None if self._deadline is None else (self._deadline - time.monotonic()) / operators

    def _operator(self, adapter: Adapter, pool: _Pool, seconds: float | None) -> Iterator[Cell]:
        """A backend that ends the process is left out of another try, which goes on behind what was measured."""
        whole = _whole(adapter)
        lost = {backend for case, backend in self._done if case == whole}
        until = None if seconds is None else time.monotonic() + seconds
        with tempfile.TemporaryDirectory(prefix="helion-bench-") as folder:
            progress, reader = Path(folder) / "progress.json", Reader(Path(folder) / "cells.jsonl")
            for _ in range(_MOST_LOST):
                progress.unlink(missing_ok=True)
                request = self._request(adapter, folder, lost, reader, seconds)
                request["seconds"] = None if until is None else until - time.monotonic()
                try:
                    yield from self._watched(adapter, pool, request, reader)
                    break
                except AutotuneError as error:
                    yield from (_cell(adapter, entry) for entry in reader.new())
                    step = last_step(progress)
                    failed = self._failure(error, step.name, request["step_seconds"])
                if not step.backend or step.backend in lost:
                    yield outcome.cell(whole, "tritonbench", failed)
                    break
                lost.add(step.backend)
                if not reader.seen or reader.seen[-1]["backend"] != step.backend:
                    yield outcome.cell(whole, step.backend, failed)

    def _watched(self, adapter: Adapter, pool: _Pool, request: dict[str, Any], reader: Reader) -> Iterator[Cell]:
        future = pool.submit(f"{_DRIVER}:drive", request)
        finished = False
        while not finished:
            finished = bool(concurrent.futures.wait([future], timeout=_POLL).done)
            yield from (_cell(adapter, entry) for entry in reader.new())
        result = future.result()
        self.out_of_time |= not result["complete"]
        if result["unmatched"]:
            yield outcome.cell(_whole(adapter), "tritonbench", outcome.failed(result["unmatched"], Status.SKIPPED))

    def _request(
        self, adapter: Adapter, folder: str, lost: Collection[str], reader: Reader, seconds: float | None
    ) -> dict[str, Any]:
        done = [[case.shape, backend] for case, backend in self._done if case.op == op_name(adapter)]
        most = self._options.step_seconds
        return {
            "root": str(self._root),
            "operator": adapter.operator,
            "device": self._options.device,
            "cpu": self._options.device == CPU,
            "shapes": list(self._options.shapes),
            "dtypes": list(self._options.dtypes),
            "stride": adapter.stride * (_QUICK if self._options.quick else 1),
            "skip": sorted(lost),
            "done": [*done, *([entry["shape"], entry["backend"]] for entry in reader.seen)],
            "record": f"{folder}/cells.jsonl",
            "progress": f"{folder}/progress.json",
            "start_seconds": most,
            "step_seconds": most if seconds is None else min(most, max(_LEAST_STEP, seconds / 2)),
        }

    def _failure(self, error: Exception, step: str, seconds: float) -> Outcome:
        if isinstance(error, CandidateTimeout) or HUNG in str(error):
            return outcome.failed(f"stopped after {seconds:g} s in its {step or 'start'}", Status.TIMEOUT)
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


def _whole(adapter: Adapter) -> CaseKey:
    return CaseKey(op_name(adapter), WHOLE, (), "")


def _cell(adapter: Adapter, entry: dict[str, Any]) -> Cell:
    case = CaseKey(op_name(adapter), entry["shape"], (), entry["dtype"])
    return outcome.cell(case, entry["backend"], entry["outcome"])
