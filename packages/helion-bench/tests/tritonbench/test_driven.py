"""The adapter, over a tritonbench that is just large enough; `helion-bench run --tritonbench PATH` drives the real."""

import dataclasses
import time
from pathlib import Path

import pytest

from helion_bench import run as bench
from helion_bench.errors import InvalidRequest
from helion_bench.request import Request
from helion_bench.results.model import CaseKey, Cell, Role, Status
from helion_bench.tritonbench import checkout
from helion_bench.tritonbench.driver import label, microseconds, thinned
from helion_bench.tritonbench.limit import TimeUp, interrupted
from helion_bench.tritonbench.record import Reader, write

FAKE = Path(__file__).parent / "fake"


def request(*ops, **changes):
    return Request(ops=ops, device="cpu", tritonbench=str(FAKE), backends=("tritonbench",), **changes)


def test_an_operator_is_driven_with_ours_beside_its_baselines():
    plan = bench.plan(request("softmax"))
    told = []
    run = bench.run(plan, told.append)
    assert run.complete and [c.key for c in told] == [c.key for c in run.cells]
    cells = {(c.case.shape, c.backend): c for c in run.cells}
    assert {c.case.op for c in run.cells} == {"tritonbench.softmax"}
    for shape in ("8x16", "8x24"):  # the first rows of the first inputs: 4096 rows are too many for the interpreter
        assert "computes no output" in cells[shape, "nothing"].reason
        assert {b: cells[shape, b].status for b in ("naive", "wrong", "raises", "nothing", "helion")} == {
            "naive": Status.OK,
            "wrong": Status.WRONG,
            "raises": Status.ERROR,
            "nothing": Status.WRONG,
            "helion": Status.OK,
        }
        assert cells[shape, "helion"].accuracy.max_rel < cells[shape, "helion"].accuracy.tolerance_rel
        assert cells[shape, "helion"].case.dtype == "float32"
        assert not cells[shape, "helion"].latency
        assert "0 active drivers" in cells[shape, "raises"].reason
    assert "exit status 7" in cells["all", "kills"].reason, "only the backend that ended the process has lost its cells"
    assert [b.name for b in run.backends if b.role is Role.OURS] == ["helion"] == [run.backends[0].name]
    assert {b.name for b in run.backends if b.role is Role.PEER} == {"naive", "wrong", "raises", "nothing", "kills"}
    again = bench.run(plan, told.append, resume_from=run)
    assert len(told) == len(again.cells) == len(run.cells), "nothing that is done is measured again"
    part = dataclasses.replace(
        run, cells=tuple(c for c in run.cells if c.key != (cells["8x24", "helion"].case, "helion"))
    )
    again = bench.run(plan, told.append, resume_from=part)
    assert told[-1].key == (cells["8x24", "helion"].case, "helion") and len(told) == len(again.cells) + 1


def test_an_operator_that_does_not_load_says_why():
    run = bench.run(bench.plan(request("layer_norm")), lambda cell: None)
    (cell,) = run.cells
    assert cell.status is Status.ERROR and "liger is not there" in cell.reason
    run = bench.run(bench.plan(request("flash_attention")), lambda cell: None)
    (cell,) = run.cells
    assert "tritonbench needs no_such_package, which is not installed: pip install no_such_package" in cell.reason


def limited(plan, **limits):
    return dataclasses.replace(plan, options=dataclasses.replace(plan.options, **limits))


def test_what_fails_or_takes_too_long_costs_its_own_cell():
    begin = time.monotonic()
    run = bench.run(limited(bench.plan(request("gemm")), step_seconds=8.0), lambda cell: None)
    cells = {(c.case.shape, c.backend): c for c in run.cells}
    assert run.complete and time.monotonic() - begin < 50
    for shape in ("16x8x8", "16x8x16"):
        assert cells[shape, "helion"].accuracy and cells[shape, "aten"].accuracy, "judged without a baseline"
        assert "no such matrix product" in cells[shape, "broken"].reason
        assert cells[shape, "slow"].status is Status.TIMEOUT and "stopped after 8 s" in cells[shape, "slow"].reason


@pytest.mark.slow
def test_the_time_of_a_run_ends_it_within_an_operator():
    told = []
    run = bench.run(bench.plan(request("gemm", seconds=12.0)), told.append)
    assert run.out_of_time and not run.complete and run.cells == tuple(told)
    assert [c.backend for c in run.cells][:2] in (["helion", "broken"], ["broken", "helion"])
    assert run.seconds < 60 and ("16x8x16", "slow") not in {(c.case.shape, c.backend) for c in run.cells}


def test_inputs_are_those_that_are_asked_for():
    plan = bench.plan(request("gemm", shapes=("*x24",), dtypes=("float32",)))
    slow = Cell(CaseKey("tritonbench.gemm", "16x8x24", (), "float32"), "slow", Status.TIMEOUT, "takes a minute")
    run = bench.run(plan, lambda cell: None, dataclasses.replace(plan.run, cells=(slow,)))
    assert {c.case.shape for c in run.cells} == {"16x8x24"} and len(run.cells) == 4
    plan = bench.plan(request("gemm", shapes=("5x*",), dtypes=("float16",)))
    (cell,) = bench.run(plan, lambda cell: None).cells
    assert cell.status is Status.SKIPPED and cell.case.shape == "all"
    assert cell.reason == (
        "none of its inputs is 5x* float16; there are: 16x8x8 float32, 16x8x16 float32, 16x8x24 float32"
    )
    with pytest.raises(InvalidRequest, match="forward only"):
        bench.plan(request("gemm", passes=("bwd",)))


def test_names_of_both_kinds():
    plan = bench.plan(Request(ops=("matmul",), device="cpu", tritonbench=str(FAKE)))
    assert [a.operator for a in plan.adapters] == ["gemm"] and {c.op for c in plan.cases} == {"matmul"}
    plan = bench.plan(Request(ops=("matmul",), shapes=("16x8x*",), device="cpu", tritonbench=str(FAKE)))
    assert [a.operator for a in plan.adapters] == ["gemm"] and plan.cases == (), "the shape is one of gemm's"
    plan = bench.plan(Request(ops=("flash_attention",), device="cpu", tritonbench=str(FAKE)))
    assert [a.op for a in plan.adapters] == ["attention"] and plan.cases == ()
    with pytest.raises(InvalidRequest, match=r"has no adapter here; there is: softmax, layer_norm, gemm \(matmul\)"):
        bench.plan(request("rope"))


def test_where_it_is_not_the_way_to_get_it_is_told(tmp_path, monkeypatch):
    with pytest.raises(InvalidRequest, match=r"is no checkout of tritonbench; get one with: git clone https://"):
        bench.plan(Request(device="cpu", tritonbench=str(tmp_path)))
    monkeypatch.setattr(checkout.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InvalidRequest, match=rf"not here; git clone .* checkout {checkout.PINNED[:12]}"):
        bench.plan(Request(device="cpu", backends=("tritonbench",)))
    (listed,) = [b for b in bench.list_backends("cpu") if b.name == "tritonbench"]
    assert "git clone" in listed.why_not and "\n" not in listed.why_not


class Latency:
    times = (0.5, 0.25)


@pytest.mark.parametrize(
    ("latency", "expected"),
    [
        (None, []),
        (0.5, [500.0]),
        ("0.031744", [31.744]),
        ("0.5 (±1.20%)", [500.0]),
        ("nan", []),
        ("CUDA OOM", []),
        ("1e-3", [1.0]),
        (2, [2000.0]),
        (Latency(), [500.0, 250.0]),
    ],
)
def test_latencies_in_all_their_forms(latency, expected):
    assert microseconds(latency) == pytest.approx(expected)


def test_samples_are_thinned_by_rank():
    assert thinned([3.0, 1.0, 2.0]) == [1.0, 2.0, 3.0] and thinned([]) == []
    kept = thinned([float(k) for k in range(1001)][::-1])
    assert len(kept) == 101 and kept[50] == 500.0 and kept == sorted(set(kept)) and kept[0] < 10 and kept[-1] > 990


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        ([4096, 256], "4096x256"),
        ((64, 48, 32), "64x48x32"),
        (1024, "1024"),
        ("(4, 48, 128)", "4x48x128"),
        ("", "input"),
    ],
)
def test_labels_of_inputs(x, expected):
    assert label(x) == expected


def test_a_call_is_ended_by_an_exception():
    with interrupted(0.05) as limit:
        time.sleep(30)
    assert limit.passed
    with interrupted(0.05) as limit, pytest.raises(TimeUp, match=r"stopped after 0.05 s"):
        time.sleep(30)
    assert limit.passed, "also where the call catches it"
    with interrupted(0.05) as limit:
        pass
    time.sleep(0.1)
    assert not limit.passed


def test_a_line_that_is_not_at_its_end_is_not_read(tmp_path):
    path = tmp_path / "cells.jsonl"
    reader = Reader(path)
    assert reader.new() == []
    write(str(path), {"a": 1})
    with path.open("a") as file:
        file.write('{"b"')
        file.flush()
        assert reader.new() == [{"a": 1}]
        file.write(": 2}\n")
    assert reader.new() == [{"b": 2}] and reader.new() == []
    assert reader.seen == [{"a": 1}, {"b": 2}]
