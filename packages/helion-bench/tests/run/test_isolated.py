"""What a backend may do to the process that measures it, and what that costs: its own cell."""

import dataclasses
import time

import pytest

from helion_bench.backends.catalogue import backends
from helion_bench.cases import catalogue
from helion_bench.results.model import Status
from helion_bench.run import outcome
from helion_bench.run.isolated import Isolated

BAD = ("raises", "wrong", "writes", "hangs", "kills", "late", "absent")


@pytest.fixture
def measured(plugins, options):
    """Cells by case and backend."""

    def measure(names, cases=None, **keywords):
        with Isolated(backends(names), options, "cuda", **keywords) as runner:
            cells = list(runner.cells(cases or catalogue.cases(["double"], shapes=["4x8"], passes=["fwd"])))
        found = {(c.case.shape, c.case.pass_, c.backend): c for c in cells}
        assert len(found) == len(cells), "a cell was told of twice"
        return found

    return measure


def test_bad_manners_cost_their_own_cell(measured):
    cells = {name: cell for (_, _, name), cell in measured(["good", *BAD, "other"]).items()}
    assert {name: cell.status for name, cell in cells.items()} == {
        "good": Status.OK,
        "other": Status.OK,
        "raises": Status.ERROR,
        "wrong": Status.WRONG,
        "writes": Status.ERROR,
        "hangs": Status.TIMEOUT,
        "kills": Status.ERROR,
        "late": Status.ERROR,
        "absent": Status.MISSING,
    }
    assert cells["raises"].reason == "ValueError: no such luck"
    assert "4 of 32 elements of output are off" in cells["wrong"].reason
    assert cells["writes"].reason == "RuntimeError: it changed its inputs"
    assert cells["hangs"].reason == "stopped after 6 s in its first call"
    assert "SIGSEGV" in cells["kills"].reason and "first call" in cells["kills"].reason
    assert "exit status 3" in cells["late"].reason
    assert cells["absent"].reason == "not installed (pip install absent)"
    for name in ("good", "other"):
        cell = cells[name]
        assert cell.latency is not None
        assert len(cell.latency.rounds) == 8 and all(len(r) >= 3 for r in cell.latency.rounds)
        assert cell.accuracy is not None and cell.accuracy.ok
        assert (cell.bytes_moved, cell.flops, cell.peak_memory_bytes) == (2 * 32 * 2, 32, 4096)
        assert cell.host_overhead_us == 3.0 and cell.compile_seconds is not None
    assert cells["wrong"].latency is not None, "times of wrong results are kept"


def test_a_capture_that_ends_the_process_is_measured_without_graphs(measured):
    cells = measured(["good", "uncapturable"])
    assert {c.status for c in cells.values()} == {Status.OK}
    assert {c.latency.method for c in cells.values()} == {"events"}


def test_who_waits_for_the_gpu_is_told_to_be_host_bound(measured):
    cells = {name: cell for (_, _, name), cell in measured(["good", "waits"]).items()}
    assert {name: cell.latency.host_bound for name, cell in cells.items()} == {"good": False, "waits": True}
    assert all(len(cell.latency.rounds) == 8 and all(cell.latency.rounds) for cell in cells.values())


def test_backward_passes_and_further_cases_in_one_process(measured):
    cells = measured(["good"], catalogue.cases(["double"]))
    assert list(cells) == [(s, p, "good") for s in ("4x8", "5x3") for p in ("fwd", "bwd")]
    assert {(c.status, c.latency.method) for c in cells.values()} == {(Status.OK, "cuda-graph")}


def test_what_is_done_is_not_measured_again(measured):
    cases = catalogue.cases(["double"], passes=["fwd"])
    cells = measured(["good", "other"], cases, done={(cases[0], "good"), (cases[1], "other")})
    assert list(cells) == [("4x8", "fwd", "other"), ("5x3", "fwd", "good")]


def test_no_case_begins_after_the_deadline(plugins, options):
    with Isolated(backends(["good"]), options, "cuda", deadline=time.monotonic()) as runner:
        assert list(runner.cells(catalogue.cases(["double"]))) == []
        assert runner.out_of_time


def test_cases_that_are_checked_side_by_side_lose_no_more_than_alone(plugins, options):
    together = dataclasses.replace(options, processes=2, at_once=2)
    with Isolated(backends(["good", "raises", "kills", "eager"]), together, "cuda") as runner:
        cells = list(runner.cells(catalogue.cases(["double"], passes=["fwd"])))
    found = {(c.case.shape, c.backend): c for c in cells}
    assert len(found) == len(cells) == 2 * 4
    for (_, name), cell in found.items():
        assert (cell.status is Status.OK) == (name in ("good", "eager"))
        if name == "eager":
            assert cell.compile_seconds is None, "there is nothing to compile"
        if name == "good":
            assert len(cell.latency.rounds) == 8
            assert [step for step, _ in cell.spent] == [
                "inputs", "reference", "first call", "copies", "calibration", "capture", "rounds",
            ]  # fmt: skip


def test_a_case_without_room_beside_others_is_repeated_alone(plugins, options):
    crowded = dataclasses.replace(options, processes=2, at_once=2)
    with Isolated(backends(["roomy", "good"]), crowded, "cuda") as runner:
        cells = list(runner.cells(catalogue.cases(["double"], passes=["fwd"])))
    assert [c.status for c in cells] == [Status.OK] * 4


def test_alone_lack_of_memory_costs_a_cell_and_who_measures_candidates_is_called_last(measured):
    cells = {name: cell for (_, _, name), cell in measured(["roomy", "seeks", "good"]).items()}
    assert {name: cell.status for name, cell in cells.items()} == {
        "roomy": Status.ERROR,
        "seeks": Status.OK,
        "good": Status.OK,
    }


def test_no_more_cases_at_once_than_memory_allows(plugins, options):
    cases = catalogue.cases(["softmax"], passes=["fwd"])
    gib = 1 << 30
    bytes_ = [outcome.cost(case)[0] for case in cases]
    memory = 2 * (2 * gib + bytes_[0] + min(bytes_))
    limited = dataclasses.replace(options, processes=3, at_once=2, memory=memory)
    with Isolated(backends(["good"]), limited, "cuda") as runner:
        waiting = list(cases)
        first = runner._next(waiting, 3)
        assert first[0] == cases[0] and len(first) == 2 and len(waiting) == len(cases) - 2
        entries = [runner._entry(*pair) for pair in zip(cases, runner._stations, strict=False)]
        one, two, three = sorted(entries, key=lambda entry: entry.needed)
        assert runner._fitting([three, one], [], []) is three, "alone it has all there is"
        assert runner._fitting([one], [two, three], []) is None, "two at once"
        tight = dataclasses.replace(limited, memory=two.needed + one.needed)
    with Isolated(backends(["good"]), tight, "cuda") as runner:
        assert runner._fitting([three, one], [two], []) is one
        assert runner._fitting([one], [two], [three]) is None
        assert runner._next(list(cases), 0) == []


def test_the_share_of_a_run_that_is_cut_short(plugins, options):
    """Rounds end at the least there may be where time is short, and the run ends with all its cases."""
    many = dataclasses.replace(options, rounds=200, case_seconds=60.0, metrics=frozenset({"latency"}))
    with Isolated(backends(["good"]), many, "cuda", deadline=time.monotonic() + 30) as runner:
        runner._pace.share = lambda cases: 0.0
        cells = list(runner.cells(catalogue.cases(["double"], passes=["fwd"])))
    assert [len(c.latency.rounds) for c in cells] == [8, 8] and not runner.out_of_time
