"""Whole runs: plans, resuming, interruption, the mode without a GPU."""

import dataclasses

import pytest

from helion_bench import run as bench
from helion_bench.backends.handwritten import Handwritten
from helion_bench.cases import catalogue
from helion_bench.errors import InvalidRequest
from helion_bench.plugins import PluginWarning
from helion_bench.request import Request
from helion_bench.results.codec import decode, encode
from helion_bench.results.model import Status
from helion_bench.run import outcome
from helion_bench.run.plan import measured

CPU = Request(ops=("double",), backends=("good", "eager"), device="cpu", passes=("fwd", "bwd"))


def test_without_a_gpu_results_are_checked_and_nothing_is_timed(plugins):
    names = ("helion", "good", "eager", "cudnn")
    plan = bench.plan(
        dataclasses.replace(CPU, ops=("double", "softmax"), shapes=("2x2", "7x100"), backends=names)
    )  # fmt: skip
    told = []
    run = bench.run(plan, told.append)
    assert run.complete and plan.size == len(run.cells) == len(told) == 2 * 2 * 4
    cells = {(c.case.op, c.case.shape, c.case.pass_, c.backend): c for c in run.cells}
    assert not any(c.latency or c.peak_memory_bytes or c.host_overhead_us for c in run.cells)
    ours = cells["softmax", "7x100", "bwd", "helion"]
    assert ours.status is Status.OK and ours.accuracy.ok and 0 < ours.accuracy.max_rel < ours.accuracy.tolerance_rel
    assert {f.target for f in ours.facts} == {"sm_80", "sm_90", "sm_100", "gfx942"}
    assert {f.kernel for f in ours.facts} == {"softmax_rows", "softmax_rows_backward"}
    assert all(not f.error and f.registers > 0 for f in ours.facts)
    assert cells["double", "2x2", "fwd", "helion"].reason == "double is not in this helion-kernels"
    assert cells["double", "2x2", "fwd", "cudnn"].reason == "needs a GPU"
    assert run.machine.gpu == "cpu" and run.software.torch
    assert decode(encode(run), "here") == run


def test_an_interrupted_run_keeps_what_it_has_and_goes_on(plugins):
    plan = bench.plan(CPU)

    def interrupt(cell):
        raise KeyboardInterrupt

    first = bench.run(plan, interrupt)
    assert not first.complete and not first.out_of_time and len(first.cells) == 1
    told = []
    second = bench.run(plan, told.append, resume_from=first)
    assert second.complete and len(second.cells) == plan.size == 4
    assert {c.key for c in told} == {c.key for c in second.cells} - {c.key for c in first.cells}
    assert [c.key for c in second.cells] == [(case, b.name) for case in plan.cases for b in plan.backends]


def test_a_spent_budget_ends_the_run(plugins):
    run = bench.run(bench.plan(dataclasses.replace(CPU, seconds=0.0)), lambda cell: None)
    assert not run.complete and run.out_of_time and run.cells == ()


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (Request(ops=("sofmax",), device="cpu"), "there is no operation 'sofmax'; there is: attention, "),
        (Request(backends=("cudn",), device="cpu"), "there is no backend 'cudn'; there is: compile, "),
        (Request(dtypes=("int4",), device="cpu"), "has a case with int4"),
        (
            Request(ops=("softmax",), shapes=("3x3",), device="cpu"),
            "3x3; there is: shapes 16x128 7x100, new shapes rows=",
        ),
        (
            Request(ops=("softmax",), shapes=("7x100", "no*"), device="cpu"),
            "none of softmax has a case with no*; there is",
        ),
        (Request(dtypes=("float32", "int4"), device="cpu"), "has a case with int4; there is"),
        (Request(ops=("scaled_mm",), passes=("bwd",), device="cpu"), "shape any, dtype any and pass bwd; there is"),
        (Request(ops=("softmax",), shapes=("8192x*",), device="cpu"), "has a case with 8192x*"),
        (Request(ops=("softmax",), shapes=("rows=0,cols=3",), device="cpu"), "is empty: rows must be above 0"),
        (
            Request(ops=("softmax",), backends=("compile", "cudnn"), device="cpu"),
            "none of compile, cudnn runs any of this (compile: needs a GPU; cudnn: needs a GPU)",
        ),
        (Request(ops=("rope",), backends=("triton",), device="cpu"), "runs any of this (nobody wrote rope by hand)"),
        (Request(shapes=("rows=3,cols=x",), device="cpu"), "is not of the form rows=8192,cols=4096"),
        (Request(passes=("sideways",), device="cpu"), "there is no pass sideways; there is: fwd, bwd"),
        (Request(device="tpu"), "there is no device 'tpu'; there is: cuda, cpu"),
    ],
)
def test_what_does_not_exist_is_refused_with_what_there_is(request_, expected):
    with pytest.raises(InvalidRequest) as error:
        bench.plan(request_)
    assert expected in str(error.value)


def test_shapes_of_ones_own(plugins):
    plan = bench.plan(Request(ops=("softmax", "matmul"), shapes=("cols=48,rows=3", "7x*"), device="cpu"))
    assert [c.shape for c in plan.cases] == ["7x100", "3x48", "7x40x24"], "operations in the order they are named in"
    plan = bench.plan(Request(ops=("softmax",), shapes=("7x100", "cols=100,rows=7"), device="cpu"))
    assert [c.shape for c in plan.cases] == ["7x100"], "named twice"


def test_backends_that_nobody_named_and_are_not_there_are_noted(plugins):
    run = bench.plan(Request(ops=("softmax",), device="cpu")).run
    assert {b.name for b in run.backends} == {"helion", "eager", "triton"}
    assert "cudnn: needs a GPU" in run.notes


def test_who_raises_when_asked_costs_nobody_else(plugins, monkeypatch):
    def raising(self, *arguments):
        raise ValueError("who knows")

    for name in ("version", "declines"):
        monkeypatch.setattr(Handwritten, name, raising)
    monkeypatch.setattr(type(catalogue.operation("double")), "flops", raising)
    names = ("eager", "triton")
    plan = bench.plan(
        Request(ops=("double",), device="cpu", quick=True, shapes=("2x2",), passes=("fwd",), backends=names)
    )
    assert {b.name: b.version for b in plan.run.backends}["triton"] == "unknown"
    with pytest.warns(PluginWarning, match=r"double cannot tell what it costs \(ValueError: who knows\)"):
        cells = {c.backend: c for c in bench.run(plan, lambda cell: None).cells}
    assert cells["eager"].status is Status.OK and cells["eager"].flops is None
    assert cells["triton"].status is Status.ERROR
    assert cells["triton"].reason == "does not tell whether it computes this: ValueError: who knows"
    monkeypatch.setattr(Handwritten, "why_not", raising)
    assert "triton: does not tell whether it is here: ValueError" in " ".join(
        bench.plan(dataclasses.replace(CPU, backends=())).run.notes
    )


@pytest.mark.parametrize("time", [0.0, float("nan"), float("inf"), -1.0])
def test_times_that_are_none_cost_their_own_cell(plugins, time):
    case = catalogue.cases(["double"], passes=["fwd"])[0]
    found = outcome.cell(
        case, "good", {"status": "ok", "latency": {"rounds": [[1.0], [time]], "method": "events", "dropped": 0}}
    )
    assert found.status is Status.ERROR and found.latency is None and "finite and above 0" in found.reason


def test_listings(plugins, monkeypatch):
    ops = {o.name: o for o in bench.list_ops()}
    assert ops["double"].shapes == ("4x8", "5x3") and ops["double"].description == "2 x."
    assert ops["softmax"].passes == ("fwd", "bwd")
    backends = {b.name: b for b in bench.list_backends("cpu")}
    assert backends["absent"].why_not == "not installed (pip install absent)"
    assert backends["cudnn"].why_not == "needs a GPU" and not backends["helion"].why_not
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert {b.why_not for b in bench.list_backends("cuda") if b.name in ("helion", "cudnn")} == {"there is no GPU here"}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ((), {"latency"}),
        (("speedup", "accuracy"), {"latency"}),
        (("accuracy",), set()),
        (("memory", "host_overhead"), {"memory", "host_overhead"}),
        (("compile_time", "tflops"), {"compile_time", "latency"}),
    ],
)
def test_what_metrics_need(asked, expected):
    assert measured(asked) == expected
