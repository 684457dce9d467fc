"""The adapter, over a tritonbench that is just large enough; `helion-bench run --tritonbench PATH` drives the real."""

from pathlib import Path

import pytest

from helion_bench import run as bench
from helion_bench.command.runner import Request
from helion_bench.errors import InvalidRequest
from helion_bench.results.model import Role, Status
from helion_bench.tritonbench import checkout
from helion_bench.tritonbench.driver import label, microseconds

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
        assert {b: cells[shape, b].status for b in ("naive", "wrong", "raises", "helion")} == {
            "naive": Status.OK,
            "wrong": Status.WRONG,
            "raises": Status.ERROR,
            "helion": Status.OK,
        }
        assert cells[shape, "helion"].accuracy.max_rel < cells[shape, "helion"].accuracy.tolerance_rel
        assert cells[shape, "helion"].case.dtype == "float32"
        assert not cells[shape, "helion"].latency
        assert "0 active drivers" in cells[shape, "raises"].reason
    assert "exit status 7" in cells["all", "kills"].reason, "only the backend that ended the process has lost its cells"
    assert [b.name for b in run.backends if b.role is Role.OURS] == ["helion"] == [run.backends[0].name]
    assert {b.name for b in run.backends if b.role is Role.PEER} == {"naive", "wrong", "raises", "kills"}
    again = bench.run(plan, told.append, resume_from=run)
    assert len(told) == len(again.cells) == len(run.cells), "an operator that is done is not driven again"


def test_an_operator_that_does_not_load_says_why():
    run = bench.run(bench.plan(request("layer_norm")), lambda cell: None)
    (cell,) = run.cells
    assert cell.status is Status.ERROR and "liger is not there" in cell.reason


def test_names_of_both_kinds():
    plan = bench.plan(Request(ops=("matmul",), device="cpu", tritonbench=str(FAKE)))
    assert [a.operator for a in plan.adapters] == ["gemm"] and {c.op for c in plan.cases} == {"matmul"}
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
    [(None, []), (0.5, [500.0]), ("0.031744", [31.744]), ("0.5 (±1.20%)", [500.0]), (Latency(), [500.0, 250.0])],
)
def test_latencies_in_all_their_forms(latency, expected):
    assert microseconds(latency) == pytest.approx(expected)


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
