import math

import numpy as np
import pytest

from helion_bench.statistics.drift import DEFAULT_SPREAD, LEAST_SPREAD, estimate_drift
from helion_bench.statistics.multiplicity import holm
from helion_bench.statistics.verdict import Pair, Verdict, judge


def samples(median: float, noise: float = 0.005, rounds: int = 10, seed: int = 0) -> list[float]:
    return (median * np.exp(np.random.default_rng(seed).normal(0, noise, rounds))).tolist()


def verdict(old: list[float], new: list[float], spread: float = 0.01, others: int = 0, **options) -> Verdict:
    unchanged = [Pair(samples(9.0, seed=i), samples(9.0, seed=1000 + i)) for i in range(others)]
    return judge([Pair(old, new, **options), *unchanged], spread)[0].verdict


@pytest.mark.parametrize(
    ("factor", "expected"),
    [(1.2, Verdict.SLOWER), (0.8, Verdict.FASTER), (1.0, Verdict.SAME), (1.03, Verdict.SAME), (1.047, Verdict.UNCLEAR)],
)
def test_verdicts(factor: float, expected: Verdict):
    assert verdict(samples(10), samples(10 * factor, seed=1)) is expected


def test_the_machines_drift_is_taken_out():
    assert verdict(samples(10), samples(12, seed=1), factor=1.2) is Verdict.SAME
    assert verdict(samples(10), samples(10, seed=1), factor=1.2) is Verdict.FASTER


def test_a_difference_that_drift_explains_is_unclear():
    assert verdict(samples(10), samples(10.8, seed=1), spread=0.01) is Verdict.SLOWER
    assert verdict(samples(10), samples(10.8, seed=1), spread=0.04) is Verdict.UNCLEAR


def test_the_more_cases_the_more_a_difference_must_stand_out():
    old, new = samples(10), samples(10.6, seed=1)
    assert verdict(old, new, spread=0.016) is Verdict.SLOWER
    assert verdict(old, new, spread=0.016, others=200) is Verdict.UNCLEAR


def test_noisy_samples_are_unclear_and_the_reason_says_why():
    judged = judge([Pair(samples(10, 0.3), samples(11.5, 0.3, seed=2))], 0.01)[0]
    assert judged.verdict is Verdict.UNCLEAR
    assert judged.reason


@pytest.mark.parametrize("rounds", [0, 1, 4])
def test_too_few_rounds_are_unclear(rounds: int):
    judged = judge([Pair(samples(10), samples(20, rounds=rounds))], 0.01)[0]
    assert judged.verdict is Verdict.UNCLEAR
    assert judged.reason == f"{rounds} rounds; a verdict needs 5 on both sides"


def test_five_rounds_suffice():
    assert verdict(samples(10, rounds=5), samples(13, rounds=5, seed=1)) is Verdict.SLOWER


def test_holm():
    """The example of Holm's procedure by hand: 0.01 × 4, 0.02 × 3 → 0.06, 0.03 × 2 → 0.06, 0.04."""
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_drift_of_controls():
    random = np.random.default_rng(0)
    drift = estimate_drift((op, math.exp(random.normal(0.05, 0.02))) for op in "abcd" for _ in range(25))
    assert drift.shift == pytest.approx(0.05, abs=0.006)
    assert drift.spread == pytest.approx(0.02, abs=0.006)
    assert drift.controls == 100


def test_a_group_bound_by_something_else_has_a_shift_of_its_own():
    controls = [("memory", 1.0 + 0.001 * i) for i in range(30)] + [("compute", 1.2)] * 30
    drift = estimate_drift(controls)
    assert drift.factor("compute") == pytest.approx(1.2, abs=0.03)
    assert drift.factor("memory") == pytest.approx(1.0, abs=0.05)
    assert drift.factor("never seen") == pytest.approx(math.exp(drift.shift))


def test_wild_controls_widen_the_spread_and_do_not_move_the_shift():
    drift = estimate_drift([("a", 1.0)] * 17 + [("a", 1.5)] * 3)
    assert drift.shift == pytest.approx(0.0)
    assert drift.spread > 0.2


def test_without_controls_a_spread_is_assumed():
    assert estimate_drift([("a", 1.3)] * 7).spread == DEFAULT_SPREAD
    assert estimate_drift([("a", 1.3)] * 7).factor("a") == 1.0
    assert estimate_drift([("a", 1.0)] * 8).spread == LEAST_SPREAD
