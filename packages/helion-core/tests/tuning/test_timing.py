"""How long a candidate is measured, with given times in the place of a GPU's."""

from __future__ import annotations

import pytest

from helion.tuning.timing import Clock


class Given(Clock):
    def __init__(self, times):
        self.times, self.asked = iter(times), []

    def samples(self, launch, count, expected_ms):
        self.asked.append(count)
        return [next(self.times) for _ in range(count)]


def test_one_slow_run_does_not_cost_a_good_candidate_its_measurement():
    clock = Given([0.2, 0.05, 0.04, *[0.041] * 50])
    assert clock.measure(lambda: None, 0.04) == (0.041, False)
    assert len(clock.asked) == 3


@pytest.mark.parametrize(("times", "runs"), [([0.2, 0.19, 0.21], 3), ([20.0], 1)], ids=["short", "long"])
def test_what_is_far_from_the_best_is_given_up_after_few_runs(times, runs):
    """A run of 20 ms says enough: more of such could take as long as a candidate that hangs."""
    clock = Given(times)
    assert clock.measure(lambda: None, 0.04) == (min(times), True)
    assert sum(clock.asked) == runs


def test_without_a_best_nothing_is_given_up():
    clock = Given([20.0, *[20.0] * 5])
    assert clock.measure(lambda: None, None) == (20.0, False)
