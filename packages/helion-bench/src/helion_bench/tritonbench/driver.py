"""Runs one operator of tritonbench; called by import path, with JSON, in a process that does nothing else.

Its loop over inputs and backends is its own. What is ours: our function among its backends, which inputs it takes,
how long a backend may take, and the judgement of every result against float64 (it compares with its baseline, and
says only yes or no, and nothing of the others where the baseline fails). Every cell is recorded as soon as it is
found: what ends this process loses no other.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import itertools
import logging
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch

from helion_autotune.errors import DeviceFault
from helion_autotune.evaluate.jobs import resolve

from ..backends.ours import function
from ..cases.reference import as_tuple
from ..cases.results import Results
from ..cases.verdict import Verdict, compare
from ..measure.device import Device
from ..results.model import Status
from ..run import outcome
from ..run.outcome import Outcome
from ..run.progress import Progress, limited
from .limit import interrupted
from .operators import ADAPTERS, Adapter, wide
from .record import write

OURS = "helion"
_CPU_INPUTS = 2
_MOST_SAMPLES = 101
_GRACE = 10.0  # seconds from the exception that ends a backend to the end of its process, if that did not help


class _OutOfTime(Exception):
    """The time of the operator is spent."""


@dataclass
class Drive:
    """One operator on its way through tritonbench's loop."""

    adapter: Adapter
    request: dict[str, Any]
    device: Device
    progress: Progress
    begin: float = field(default_factory=time.monotonic)
    truth: tuple[str, Results] | None = None
    verdict: Verdict | None = None
    slow: dict[str, Outcome] = field(default_factory=dict)
    offered: dict[str, bool] = field(default_factory=dict)
    """Inputs, with their dtypes, and whether they are asked for."""

    def wanted(self, shape: str, dtype: str) -> bool:
        """Whether an input is asked for, by its label and dtype; nothing named means all."""
        shapes, dtypes = self.request["shapes"], self.request["dtypes"]
        found = (not shapes or any(fnmatchcase(shape, s) for s in shapes)) and (not dtypes or dtype in dtypes)
        self.offered[f"{shape} {dtype}".strip()] = found
        return found

    @property
    def unmatched(self) -> str:
        """What is said where none of the inputs is asked for."""
        if not self.offered or any(self.offered.values()):
            return ""
        asked = " ".join([*self.request["shapes"], *self.request["dtypes"]])
        return f"none of its inputs is {asked}; there are: {', '.join(self.offered)}"

    @property
    def left(self) -> float:
        """Seconds until the time of the operator is spent; infinite where it has no limit."""
        seconds = self.request["seconds"]
        return float("inf") if seconds is None else self.begin + seconds - time.monotonic()


def load(root: str, operator: str) -> None:
    """Import an operator, so that driving it in the same process begins at once."""
    _loaded(root, operator)


def drive(request: dict[str, Any]) -> dict[str, Any]:
    """Record one cell after the other, and tell whether that is all: `{"complete": bool, "unmatched": str}`.

    `unmatched` says why there is nothing to measure. `request`: `root` (of the checkout), `operator`, `device` (import
    path of a Device), `cpu`, `shapes` and `dtypes` (of inputs, patterns and names; all that match are taken), `stride`
    (of inputs otherwise), `skip` (names of backends), `done` (pairs of an input's label and a backend), `record` and
    `progress` (paths), and the limits `start_seconds`, `step_seconds` (of one backend) and `seconds` (of all, or
    None). Raises what loading the operator raises, and DeviceFault where a backend leaves the device unusable.
    """
    os.chdir(Path(request["record"]).parent)  # torch writes its choices of matrix products where it is
    device: Device = resolve(request["device"])()
    with limited(Progress(request["progress"], request["start_seconds"])) as steps, device.active():
        steps.mark("", "start")
        operator, triton_op = _loaded(request["root"], request["operator"])
        run = Drive(ADAPTERS[request["operator"]], request, device, steps)
        _join(operator, triton_op, run)
        try:
            _run(operator, run)
        except _OutOfTime:
            return {"complete": False, "unmatched": ""}
        except Exception:  # tritonbench's own, of having had no input
            if not run.unmatched:
                raise
        return {"complete": True, "unmatched": run.unmatched}


def _loaded(root: str, operator: str) -> tuple[Any, Any]:
    """The class of the operator, and the module that holds the registries."""
    if root not in sys.path:
        sys.path.insert(0, root)
    logging.disable(logging.WARNING)
    try:
        loader: Any = importlib.import_module("tritonbench.operators")
        found = loader.load_opbench_by_name(operator)
        return found, importlib.import_module("tritonbench.utils.triton_op")
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if not package or importlib.util.find_spec(package) is not None:
            raise
        raise RuntimeError(f"tritonbench needs {package}, which is not installed: pip install {package}") from error


def _join(operator: Any, triton_op: Any, run: Drive) -> None:
    """Put our function among the backends, our choice of inputs and our judgement in place of the operator's."""
    ours = function(run.adapter.function)
    if ours is not None:

        def benchmark(self: Any, *inputs: Any) -> Callable[[], Any]:
            return lambda: run.adapter.call(ours, self, inputs)

        register = triton_op.register_benchmark(operator_name=run.adapter.operator, func_name=OURS)
        setattr(operator, OURS, register(benchmark))
        # next to the baseline, which it runs first: time may not suffice for all
        triton_op.REGISTERED_BENCHMARKS[run.adapter.operator].move_to_end(OURS, last=False)
    every_input, bench = operator.get_input_iter, operator._do_bench

    def get_input_iter(self: Any) -> Iterator[Any]:
        return _picked(self, every_input(self), run)

    def do_bench(self: Any, **keywords: Any) -> None:
        _measure(functools.partial(bench, self, **{**keywords, "baseline": False}), self, keywords["fn_name"], run)

    def accuracy(self: Any, fn: Any, baseline_fn: Any) -> bool:
        run.verdict = _judged(self, fn, run)
        return run.verdict.ok

    operator.get_input_iter, operator._do_bench, operator.accuracy = get_input_iter, do_bench, accuracy


def _picked(operator: Any, inputs: Iterator[Any], run: Drive) -> Iterator[Any]:
    """Inputs that are asked for; else the first for the interpreter, cut to its size, or some spread over all."""
    request = run.request
    if request["cpu"]:
        inputs = (run.adapter.cut(tuple(i)) for i in inputs)
    if request["shapes"] or request["dtypes"]:
        return (i for i in inputs if run.wanted(label(operator.get_x_val(i)), _dtype(i)))
    if request["cpu"]:
        return itertools.islice(inputs, _CPU_INPUTS)
    return itertools.islice(inputs, 0, None, request["stride"])


def _measure(bench: Callable[[], Any], operator: Any, name: str, run: Drive) -> None:
    """Have tritonbench measure a backend as if it were not the baseline, which it does not judge; record the cell."""
    shape = label(operator.get_x_val(operator.example_inputs))
    if [shape, name] in run.request["done"]:
        return
    if run.left <= 0:
        raise _OutOfTime
    found = run.slow.get(name) or _found(bench, operator, name, run)
    write(run.request["record"], {
        "shape": shape, "dtype": _dtype(operator.example_inputs), "backend": name, "outcome": found,
    })  # fmt: skip
    if found["status"] == Status.ERROR.value and not run.device.alive():
        raise DeviceFault(f"{name} left the device unusable")


def _found(bench: Callable[[], Any], operator: Any, name: str, run: Drive) -> Outcome:
    most = run.request["step_seconds"]
    seconds = min(most, run.left)
    run.progress.mark(name, "measurement", seconds + _GRACE)
    operator.baseline_fn, run.verdict = _nothing, None
    with interrupted(seconds) as limit:
        metrics = bench()
    run.progress.pause()
    if not limit.passed:
        return _outcome(metrics, run.verdict)
    if seconds < most:
        raise _OutOfTime
    run.slow[name] = outcome.failed(f"stopped after {most:g} s in its measurement", Status.TIMEOUT)
    return run.slow[name]


def _nothing() -> None:
    """In place of a baseline: tritonbench judges nothing without one."""


def _judged(bench: Any, fn: Any, run: Drive) -> Verdict:
    shape = label(bench.get_x_val(bench.example_inputs))
    if run.truth is None or run.truth[0] != shape:
        run.truth = None
        with torch.no_grad():
            exact = run.adapter.call(run.adapter.torch_function, bench, wide(bench.example_inputs))
        run.truth = shape, Results(as_tuple(exact))
    got = Results(tuple(t.detach() for t in as_tuple(fn()) if isinstance(t, torch.Tensor)))
    return compare(got, run.truth[1])


def _run(operator: Any, run: Drive) -> None:
    parser = importlib.import_module("tritonbench.utils.parser").get_parser()
    request = run.request
    metrics = "accuracy" if request["cpu"] else "latency,accuracy"
    arguments = ["--op", request["operator"], "--metrics", metrics, "--keep-going", "--skip-print"]
    arguments += ["--device", "cpu" if request["cpu"] else "cuda", "--rtol", "1e-2", "--atol", "1e-2"]
    arguments += ["--skip", ",".join(request["skip"])] if request["skip"] else []
    known, extra = parser.parse_known_args([*arguments, *(run.adapter.cpu_arguments if request["cpu"] else ())])
    operator(tb_args=known, extra_args=extra).run(known.warmup, known.iter)


def _outcome(metrics: Any, verdict: Verdict | None) -> Outcome:
    if metrics.error_msg:
        return outcome.failed(str(metrics.error_msg))
    if verdict is None:
        return outcome.failed("its result could not be judged")
    found = outcome.judged(verdict)
    times = microseconds(metrics.latency)
    if times:
        found["latency"] = {"rounds": [thinned(times)], "method": "tritonbench", "dropped": 0}
    return found


def thinned(times: list[float]) -> list[float]:
    """At most `_MOST_SAMPLES` of them, evenly by rank: tritonbench takes a thousand of a short call, and sorts them."""
    ordered, count = sorted(times), min(len(times), _MOST_SAMPLES)
    return [ordered[(2 * k + 1) * len(ordered) // (2 * count)] for k in range(count)]


def microseconds(latency: Any) -> list[float]:
    """Samples of a latency as tritonbench gives it: an object with times, a number, or a text; in milliseconds.

    A text that is no number gives none.
    """
    times = getattr(latency, "times", None)
    if times is None:
        number = re.match(r"\s*(\d+\.?\d*(?:[eE][+-]?\d+)?)", str(latency))
        times = [number[1]] if number else []
    return [float(t) * 1e3 for t in times]


def label(x: Any) -> str:
    """The label of an input: `4096x256` of (4096, 256)."""
    return "x".join(re.findall(r"[A-Za-z0-9.]+", str(x))) or "input"


def _dtype(inputs: Any) -> str:
    first = next((x for x in inputs if isinstance(x, torch.Tensor)), None)
    return "" if first is None else str(first.dtype).removeprefix("torch.")
