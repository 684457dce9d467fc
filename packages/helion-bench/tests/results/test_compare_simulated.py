"""The verdicts on simulated pairs of runs: nothing is found where nothing changed, and a planted change is found."""

import pytest

from helion_bench.results.compare import compare
from helion_bench.statistics.verdict import Verdict
from helion_bench.testing.resample import resampled
from helion_bench.testing.simulate import MACHINES
from helion_bench.testing.synthetic import row_cases, synthetic_run

CASES = row_cases(ops=20, shapes=10)
DRIFT = 0.012  # of a single run: the ratio of two runs has a standard deviation of 1.7 %, and reaches 5 % and more


def flagged(old_seed: int, new_seed: int, **new_options: object) -> list[tuple[str, str, str, str]]:
    old = synthetic_run(old_seed, CASES, drift=DRIFT)
    new = synthetic_run(new_seed, CASES, drift=DRIFT, **new_options)  # type: ignore[arg-type]
    changes = compare(old, new).changes
    assert len(changes) == 2 * len(CASES)  # two backends of ours
    wanted = (Verdict.SLOWER, Verdict.FASTER)
    return [(c.verdict.value, c.case.op, c.case.shape, c.backend) for c in changes if c.verdict in wanted]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("shift", [0.0, 0.08])
def test_nothing_is_found_between_two_runs_of_one_commit(seed: int, shift: float):
    assert flagged(2 * seed, 2 * seed + 1, shift=shift) == []


@pytest.mark.parametrize("seed", range(6))
def test_a_slowdown_by_10_percent_is_found_and_nothing_else(seed: int):
    case = CASES[17 * seed + 3]
    found = flagged(100 + 2 * seed, 101 + 2 * seed, shift=-0.03, slower={(case.op, case.shape): 1.10})
    assert found == [("slower", case.op, case.shape, "helion")]


@pytest.mark.parametrize("seed", range(3))
def test_a_speed_up_is_found_as_such(seed: int):
    case = CASES[5 * seed]
    found = flagged(200 + seed, 300 + seed, slower={(case.op, case.shape): 0.85})
    assert found == [("faster", case.op, case.shape, "helion")]


def test_most_unchanged_cases_are_the_same_and_none_is_forced():
    changes = compare(synthetic_run(1, CASES, drift=DRIFT), synthetic_run(2, CASES, drift=DRIFT)).changes
    verdicts = [change.verdict for change in changes]
    assert verdicts.count(Verdict.SAME) > 0.8 * len(changes)
    assert set(verdicts) <= {Verdict.SAME, Verdict.UNCLEAR}


@pytest.mark.parametrize("seed", range(4))
def test_samples_of_a_run_drawn_again_on_a_machine_that_drifts(seed: int):
    cases = row_cases(8, 6)
    recorded = synthetic_run(seed, cases)
    old = resampled(recorded, MACHINES[0], 2 * seed)
    assert old == resampled(recorded, MACHINES[0], 2 * seed) and len(old.cells) == 5 * len(cases)

    def slower(**options: object) -> list[str]:
        new = resampled(recorded, MACHINES[0], 2 * seed + 1, shift=0.04, **options)  # type: ignore[arg-type]
        return [c.case.id for c in compare(old, new).changes if c.verdict is Verdict.SLOWER]

    assert slower() == []
    case = cases[9 * seed]
    assert slower(slower={case: 1.12}) == [case.id]
