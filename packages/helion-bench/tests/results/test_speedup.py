import dataclasses

import pytest

from helion_bench.results import derived
from helion_bench.results.model import CaseKey, Cell, Latency, Peaks, Role, Run, Status
from helion_bench.results.speedup import failures, speedup_of, speedups, summarise
from helion_bench.testing.synthetic import example_runs, matmul_case, row_cases, synthetic_run


def test_the_speedup_pairs_rounds_so_that_drift_within_a_run_cancels():
    """Each round is slower than the one before; within a round the peer takes twice as long."""
    ours = Latency.of([[10.0 * 1.3**i] * 3 for i in range(8)], "events")
    peer = Latency.of([[20.0 * 1.3**i] * 3 for i in range(8)], "events")
    found = speedup_of(ours, peer)
    assert (found.value, found.low, found.high) == pytest.approx((2.0, 2.0, 2.0), rel=1e-4)


def test_a_round_dropped_on_one_side_keeps_the_pairing():
    ours = Latency(((10.0,), (), (30.0,)), "events", throttled_dropped=1)
    peer = Latency(((20.0,), (999.0,), (60.0,)), "events")
    assert speedup_of(ours, peer).value == 2.0


def test_without_common_rounds_there_is_still_an_estimate():
    found = speedup_of(Latency(((10.0,), ()), "events"), Latency(((), (20.0,)), "events"))
    assert found.value == pytest.approx(2.0)


def test_measured_once_the_samples_tell_the_spread():
    """Several rounds of one sample each would tell the same; one round of many is no tie for want of rounds."""
    ours = Latency.of([[10.0 + 0.1 * (i % 5) for i in range(40)]], "tritonbench")
    peer = Latency.of([[20.0 + 0.2 * (i % 5) for i in range(40)]], "tritonbench")
    found = speedup_of(ours, peer)
    assert found.known and 1.9 < found.low <= found.value <= found.high < 2.1
    assert found.value == pytest.approx(2.0, rel=0.01)


def test_the_best_peer_is_the_fastest_that_is_right():
    run = synthetic_run(1, [matmul_case(4096)])
    (found,) = speedups(run, "helion")
    assert found.best_peer.value == min(i.value for i in found.against.values())
    fastest = next(c for c in run.cells if c.backend == found.best)
    wrong = run.with_cells([dataclasses.replace(fastest, status=Status.WRONG, reason="nan")])
    (left,) = speedups(wrong, "helion")
    assert found.best not in left.against
    assert left.best_peer.value == min(i.value for i in left.against.values()) > found.best_peer.value


def test_wrong_results_of_ours_have_no_speedup():
    run = synthetic_run(1, [matmul_case(4096)])
    ours = next(c for c in run.cells if c.backend == "helion")
    assert speedups(run.with_cells([dataclasses.replace(ours, status=Status.WRONG, reason="nan")]), "helion") == []


def test_outcomes_are_counted():
    cases = row_cases(4, 5)
    slow = {(case.op, case.shape): 3.0 for case in cases[:6]}
    summary = summarise(speedups(synthetic_run(3, cases, slower=slow), "helion"))
    assert summary is not None
    assert summary.losses >= 6
    assert summary.wins + summary.ties + summary.losses == len(cases)
    assert summary.mean.low < summary.mean.value < summary.mean.high
    assert summarise([]) is None


def test_failures_are_those_of_ours():
    assert [cell.case.op for cell in failures(example_runs()["after"])] == ["layer_norm"]
    assert len(failures(example_runs()["after"], (Role.OURS, Role.PEER))) == 3


def test_rates_and_the_share_of_the_ceiling():
    case = CaseKey("x", "1", (), "bfloat16")
    cell = Cell(case, "helion", Status.OK, latency=Latency(((100.0,),), "events"), bytes_moved=10**8, flops=10**10)
    assert derived.median_us(cell) == 100.0
    assert derived.gbps(cell) == pytest.approx(1000.0)
    assert derived.tflops(cell) == pytest.approx(100.0)
    peaks = Peaks(2000.0, (("bfloat16", 1000.0),))
    assert derived.peak_share(cell, peaks) == pytest.approx(0.5)  # bound by memory: 50 µs at least
    assert derived.peak_share(cell, Peaks(None, (("bfloat16", 400.0),))) == pytest.approx(0.25)
    assert derived.peak_share(cell, Peaks()) is None
    assert derived.peak_share(dataclasses.replace(cell, latency=None), peaks) is None


def test_cells_replace_those_of_the_same_key():
    run: Run = synthetic_run(1, [matmul_case(4096)])
    wrong = dataclasses.replace(run.cells[0], status=Status.WRONG, reason="nan")
    assert run.with_cells([wrong]).cells == (wrong, *run.cells[1:])
