import math

import numpy as np
import pytest

from helion_bench.statistics.interval import Interval, geometric_mean, median_interval
from helion_bench.statistics.normal import lower_tail, student_quantile


@pytest.mark.parametrize(
    ("n", "low", "high"), [(6, 1, 6), (10, 2, 9), (20, 6, 15), (100, 40, 61)], ids=lambda value: str(value)
)
def test_ends_of_the_interval_of_a_median(n: int, low: int, high: int):
    """Ranks from the table in Conover, Practical Nonparametric Statistics, at 95 %."""
    found = median_interval(range(n, 0, -1))
    assert found == Interval((n + 1) / 2, low, high)


def test_too_few_samples_give_no_interval():
    found = median_interval([3.0, 1.0, 2.0])
    assert found.value == 2.0
    assert not found.known


def test_the_interval_covers_the_median_as_often_as_it_says():
    random = np.random.default_rng(0)
    covered = [
        found.low <= 1.0 <= found.high
        for found in (median_interval(np.exp(random.normal(size=15))) for _ in range(2000))
    ]
    assert 0.95 <= np.mean(covered) <= 0.98  # 0.965 by the binomial distribution


def test_a_median_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="needs samples"):
        median_interval([])


def test_geometric_mean_is_the_same_whichever_side_is_the_baseline():
    ratios = [0.5, 1.0, 3.0, 1.5, 1.0]
    there, back = geometric_mean(ratios), geometric_mean([1 / r for r in ratios])
    assert there.value == pytest.approx((0.5 * 3.0 * 1.5) ** 0.2)
    assert there.value == pytest.approx(1 / back.value)
    assert there.low < there.value < there.high
    assert geometric_mean(ratios) == there


@pytest.mark.parametrize(("count", "least"), [(5, 0.91), (6, 0.91), (8, 0.92), (40, 0.92)])
def test_the_bootstrap_covers_the_mean_about_as_often_as_it_says(count: int, least: float):
    """Of 5 values, the plain percentile interval covers it in 85 %."""
    random = np.random.default_rng(1)
    found = [geometric_mean(np.exp(random.normal(0.2, 0.3, size=count)), resamples=1000) for _ in range(500)]
    assert least <= np.mean([i.low <= math.exp(0.2) <= i.high for i in found]) <= 0.98


def test_few_ratios_have_no_interval():
    assert not geometric_mean([2.0]).known and not geometric_mean([1.0, 1.1, 1.2, 1.3]).known
    with pytest.raises(ValueError, match="needs ratios"):
        geometric_mean([])


@pytest.mark.parametrize(("degrees", "expected"), [(4, 2.7764), (5, 2.5706), (9, 2.2622), (30, 2.0423)])
def test_quantiles_of_student(degrees: int, expected: float):
    """From any table of them, at 2.5 %."""
    assert student_quantile(0.025, degrees) == pytest.approx(expected, rel=3e-3)
    assert lower_tail(-1.959964) == pytest.approx(0.025, rel=1e-5)
