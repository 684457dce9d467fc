"""Runs one operator of tritonbench; called by import path, with JSON, in a process that does nothing else.

Its loop over inputs and backends is its own. What is ours: our function among its backends, which inputs it takes,
and the judgement of every result against float64 (it compares with its baseline, and says only yes or no).
"""

from __future__ import annotations

import importlib
import itertools
import logging
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from helion_autotune.evaluate.jobs import resolve

from ..backends.ours import function
from ..cases.operation import Results
from ..cases.reference import as_tuple
from ..cases.verdict import Verdict, compare
from ..measure.device import Device
from ..run import outcome
from ..run.outcome import Outcome
from ..run.progress import Progress, limited
from .operators import ADAPTERS, Adapter, wide

OURS = "helion"
_CPU_INPUTS = 2


@dataclass
class Drive:
    """One operator on its way through tritonbench's loop."""

    adapter: Adapter
    request: dict[str, Any]
    progress: Progress
    verdicts: dict[tuple[int, str], Verdict] = field(default_factory=dict)
    dtypes: dict[int, str] = field(default_factory=dict)


def drive(request: dict[str, Any]) -> dict[str, Any]:
    """`{"baseline": name, "cells": [{"shape", "dtype", "backend", "outcome"}]}`.

    `request`: `root` (of the checkout), `operator`, `device` (import path of a Device), `cpu`, `skip` (names of
    backends), `progress` (a path), `step_seconds`. Raises what loading the operator raises.
    """
    device: Device = resolve(request["device"])()
    with limited(Progress(request["progress"], request["step_seconds"])) as steps, device.active():
        steps.mark("", "start")
        operator, triton_op = _loaded(request)
        run = Drive(ADAPTERS[request["operator"]], request, steps)
        _join(operator, triton_op, run)
        bench = _run(operator, run)
        return {"baseline": triton_op.BASELINE_BENCHMARKS.get(bench.name, ""), "cells": list(_cells(bench, run))}


def _loaded(request: dict[str, Any]) -> tuple[Any, Any]:
    """The class of the operator, and the module that holds the registries."""
    sys.path.insert(0, request["root"])
    logging.disable(logging.WARNING)
    loader: Any = importlib.import_module("tritonbench.operators")
    operator = loader.load_opbench_by_name(request["operator"])
    return operator, importlib.import_module("tritonbench.utils.triton_op")


def _join(operator: Any, triton_op: Any, run: Drive) -> None:
    """Put our function among the backends, our choice of inputs and our judgement in place of the operator's."""
    ours = function(run.adapter.function)
    if ours is not None:

        def benchmark(self: Any, *inputs: Any) -> Callable[[], Any]:
            return lambda: run.adapter.call(ours, self, inputs)

        register = triton_op.register_benchmark(operator_name=run.adapter.operator, func_name=OURS)
        setattr(operator, OURS, register(benchmark))
    every_input, bench = operator.get_input_iter, operator._do_bench

    def get_input_iter(self: Any) -> Iterator[Any]:
        return _picked(every_input(self), run)

    def do_bench(self: Any, *arguments: Any, **keywords: Any) -> Any:
        name = keywords["fn_name"]
        run.progress.mark(name, "measurement")
        if (self._cur_input_id, name) not in run.verdicts:
            run.dtypes[self._cur_input_id] = _dtype(self.example_inputs)
        return bench(self, *arguments, **keywords)

    def accuracy(self: Any, fn: Any, baseline_fn: Any) -> bool:
        return _judge(self, fn, baseline_fn, run)

    operator.get_input_iter, operator._do_bench, operator.accuracy = get_input_iter, do_bench, accuracy


def _picked(inputs: Iterator[Any], run: Drive) -> Iterator[Any]:
    """The first inputs for the interpreter, cut to its size; else some spread over all there are."""
    if run.request["cpu"]:
        return (run.adapter.cut(tuple(i)) for i in itertools.islice(inputs, _CPU_INPUTS))
    return itertools.islice(inputs, 0, None, run.adapter.stride)


def _judge(bench: Any, fn: Any, baseline_fn: Any, run: Drive) -> bool:
    """What tritonbench asks of every backend but the baseline; the baseline is judged on the first of them."""
    number = bench._cur_input_id
    truth = Results(as_tuple(_truth(bench, run)))
    for call in (baseline_fn, fn):
        key = number, call._name
        if key not in run.verdicts:
            run.verdicts[key] = compare(Results(tuple(t.detach() for t in as_tuple(call()))), truth)
    return run.verdicts[number, fn._name].ok


def _truth(bench: Any, run: Drive) -> Any:
    with torch.no_grad():
        return run.adapter.call(run.adapter.torch_function, bench, wide(bench.example_inputs))


def _run(operator: Any, run: Drive) -> Any:
    parser = importlib.import_module("tritonbench.utils.parser").get_parser()
    request = run.request
    metrics = "accuracy" if request["cpu"] else "latency,accuracy"
    arguments = ["--op", request["operator"], "--metrics", metrics, "--keep-going", "--skip-print"]
    arguments += ["--device", "cpu" if request["cpu"] else "cuda", "--rtol", "1e-2", "--atol", "1e-2"]
    arguments += ["--skip", ",".join(request["skip"])] if request["skip"] else []
    known, extra = parser.parse_known_args([*arguments, *(run.adapter.cpu_arguments if request["cpu"] else ())])
    bench = operator(tb_args=known, extra_args=extra)
    bench.run(known.warmup, known.iter)
    return bench


def _cells(bench: Any, run: Drive) -> Iterator[dict[str, Any]]:
    for number, (x, measured) in enumerate(bench.output.result):
        for name, metrics in measured.items():
            yield {
                "shape": label(x),
                "dtype": run.dtypes.get(number, ""),
                "backend": name,
                "outcome": _outcome(metrics, run.verdicts.get((number, name))),
            }


def _outcome(metrics: Any, verdict: Verdict | None) -> Outcome:
    if metrics.error_msg:
        return outcome.failed(str(metrics.error_msg))
    found = outcome.judged(verdict) if verdict is not None else {"status": "ok"}
    times = microseconds(metrics.latency)
    if times:
        found["latency"] = {"rounds": [times], "method": "tritonbench", "dropped": 0}
    return found


def microseconds(latency: Any) -> list[float]:
    """Samples of a latency as tritonbench gives it: an object with times, a number, or a text; in milliseconds."""
    if latency is None:
        return []
    times = getattr(latency, "times", None)
    if times is None:
        times = [float(re.match(r"\s*([0-9.eE+-]+)", str(latency))[1])]  # type: ignore[index]
    return [float(t) * 1e3 for t in times]


def label(x: Any) -> str:
    """The label of an input: `4096x256` of (4096, 256)."""
    return "x".join(re.findall(r"[A-Za-z0-9.]+", str(x))) or "input"


def _dtype(inputs: Any) -> str:
    first = next((x for x in inputs if isinstance(x, torch.Tensor)), None)
    return "" if first is None else str(first.dtype).removeprefix("torch.")
