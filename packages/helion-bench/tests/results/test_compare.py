import dataclasses
from pathlib import Path

import pytest

from helion_bench.reports.changes import changes_table
from helion_bench.results.compare import Change, compare
from helion_bench.results.model import Role, Run, Status
from helion_bench.results.store import read_run
from helion_bench.statistics.verdict import Verdict
from helion_bench.testing.synthetic import row_cases, synthetic_run

FIXTURES = Path(__file__).parents[1] / "fixtures"


@pytest.fixture
def before() -> Run:
    return read_run(FIXTURES / "synthetic_before.json")


@pytest.fixture
def after() -> Run:
    return read_run(FIXTURES / "synthetic_after.json")


def by_name(changes: tuple[Change, ...], backend: str = "helion") -> dict[str, Change]:
    return {change.case.id: change for change in changes if change.backend == backend}


def test_the_planted_changes_and_nothing_else(before: Run, after: Run):
    found = compare(before, after)
    changes = by_name(found.changes)
    assert [c.case.id for c in found.changes if c.verdict is Verdict.SLOWER] == ["softmax/2048x1536/bfloat16/fwd"]
    assert [c.case.id for c in found.changes if c.broken] == ["layer_norm/1024x1024/bfloat16/fwd"]
    assert (
        changes["layer_norm/1024x1024/bfloat16/fwd"].reason == "ok before, wrong (errors up to 3.5, allowed 0.01) now"
    )
    assert changes["matmul/4096x4096x4096/bfloat16/bwd"].reason == "vanished: not in the new run"
    assert changes["matmul/2048x2048x2048/bfloat16/fwd"].reason == "new: not in the old run"
    assert found.count(Verdict.FASTER) == 0


def test_a_run_against_itself_is_the_same(before: Run):
    assert {change.verdict for change in compare(before, before).changes} == {Verdict.SAME}


def test_backends_of_other_versions_are_no_control(before: Run):
    newer = tuple(dataclasses.replace(b, version="9") if b.role is Role.PEER else b for b in before.backends)
    found = compare(before, dataclasses.replace(before, backends=newer))
    assert found.drift.controls == 0
    assert any("only 0 unchanged peers" in note for note in found.notes)


def test_another_gpu_is_never_slower(before: Run, after: Run):
    other = dataclasses.replace(after, machine=dataclasses.replace(after.machine, gpu="Other"))
    found = compare(before, other)
    assert found.count(Verdict.SLOWER) == found.count(Verdict.FASTER) == 0
    assert found.count(Verdict.UNCLEAR) > 0
    assert any("GPUs differ" in note for note in found.notes)


def test_other_versions_and_interrupted_runs_are_noted(before: Run, after: Run):
    changed = dataclasses.replace(
        after, complete=False, software=dataclasses.replace(after.software, triton="3.7"), machine=after.machine
    )
    notes = compare(before, changed).notes
    assert "triton differs: 3.6.0 before, 3.7 now" in notes
    assert any("interrupted" in note for note in notes)


def test_without_times_compile_facts_are_compared():
    cpu = read_run(FIXTURES / "synthetic_cpu.json")
    (same,) = compare(cpu, cpu).changes
    assert same.verdict is Verdict.SAME
    ours = cpu.cells[0]
    spilling = tuple(dataclasses.replace(f, spills=12) if f.target == "sm_90" else f for f in ours.facts)
    (changed,) = compare(cpu, cpu.with_cells([dataclasses.replace(ours, facts=spilling)])).changes
    assert changed.verdict is Verdict.UNCLEAR
    assert changed.reason == "no times; sm_90: spills 0 → 12"


def test_wrong_in_both_is_not_timed():
    old = synthetic_run(1, row_cases(1, 1))
    cells = [dataclasses.replace(c, status=Status.WRONG, reason="nan") for c in old.cells if c.backend == "helion"]
    wrong = old.with_cells(cells)
    change = by_name(compare(wrong, wrong).changes)["softmax/1024x1024/bfloat16/fwd"]
    assert change.verdict is Verdict.MISSING
    assert not change.broken


def test_what_neither_run_tried_is_no_change(before: Run):
    skipped = [dataclasses.replace(c, status=Status.SKIPPED, reason="no bwd", latency=None) for c in before.cells[:1]]
    other = before.with_cells(skipped)
    assert before.cells[0].backend == "helion"
    assert len(compare(other, other).changes) == len(compare(before, before).changes) - 1
    (change,) = [c for c in compare(before, other).changes if c.verdict is Verdict.MISSING]
    assert change.reason == "ok before, skipped (no bwd) now"
    assert change.vanished
    assert not change.broken


def test_times_in_which_the_gpu_waited_for_the_host_decide_nothing_and_tell_of_no_drift(before: Run):
    def bound(backend: str) -> Run:
        cells = [c for c in before.cells if c.backend == backend and c.latency]
        return before.with_cells(
            [dataclasses.replace(c, latency=dataclasses.replace(c.latency, host_bound=True)) for c in cells]
        )

    ours = compare(before, bound("helion"))
    assert {change.verdict for change in by_name(ours.changes).values()} == {Verdict.UNCLEAR}
    assert "host-bound in the new run" in next(iter(by_name(ours.changes).values())).reason
    peers = sum(c.backend == "eager" and c.latency is not None for c in before.cells)
    assert compare(before, bound("eager")).drift.controls == compare(before, before).drift.controls - peers > 0


def scaled(run: Run, factor: float, case: str, *backends: str, version: str = "") -> Run:
    """`run` with other times of one case, of all backends or some; `version` is that of the peers."""
    chosen = [c for c in run.cells if c.case.id == case and c.latency and (not backends or c.backend in backends)]
    cells = []
    for cell in chosen:
        assert cell.latency is not None
        rounds = tuple(tuple(x * factor for x in group) for group in cell.latency.rounds)
        cells.append(dataclasses.replace(cell, latency=dataclasses.replace(cell.latency, rounds=rounds)))
    named = tuple(dataclasses.replace(b, version=version or b.version) for b in run.backends)
    return dataclasses.replace(run, backends=named).with_cells(cells)


def test_what_all_backends_of_a_case_share_is_the_machines(before: Run):
    case = "softmax/2048x1536/bfloat16/fwd"
    all_moved = by_name(compare(before, scaled(before, 1.1, case)).changes)[case]
    assert all_moved.verdict is Verdict.SAME and "its peers moved alike" in all_moved.reason
    ours_moved = by_name(compare(before, scaled(before, 1.1, case, "helion")).changes)[case]
    assert ours_moved.verdict is Verdict.SLOWER


def test_a_peer_of_another_version_explains_nothing(before: Run):
    case = "softmax/2048x1536/bfloat16/fwd"
    found = by_name(compare(before, scaled(before, 1.2, case, version="9")).changes)[case]
    assert found.verdict is Verdict.SLOWER


def test_what_the_new_run_was_not_asked_for_is_named_and_not_listed(before: Run):
    part = dataclasses.replace(before, cells=tuple(c for c in before.cells if c.case.op == "softmax"), id="part")
    found = compare(before, part)
    assert found.count(Verdict.MISSING) == sum(c.vanished for c in found.changes) == len(found.changes) - 2 * 4
    assert found.notes[-1] == "the new run holds nothing of layer_norm (4), rms_norm (4), matmul (3)"
    assert changes_table(found) is None
    table = changes_table(found, everything=True)
    assert table is not None and len(table.rows) == len(found.changes)


def test_notes_on_clocks_are_of_those_that_cases_met(before: Run):
    def clocked(mhz: float) -> Run:
        cells = [c for c in before.cells if c.latency]
        return before.with_cells(
            [dataclasses.replace(c, latency=dataclasses.replace(c.latency, sm_mhz=mhz)) for c in cells]
        )

    assert any("1755 MHz before, 1500 MHz now" in note for note in compare(clocked(1755), clocked(1500)).notes)
    assert not any("MHz" in note for note in compare(clocked(1755), clocked(1740)).notes)
    idle = dataclasses.replace(before, machine=dataclasses.replace(before.machine, sm_clock_mhz=345))
    assert not any("clock" in note for note in compare(before, idle).notes)


def test_a_run_is_told_from_itself(before: Run):
    assert "both are the run synthetic-before" in compare(before, before).notes
