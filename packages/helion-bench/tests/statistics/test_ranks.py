import itertools

import numpy as np
import pytest

from helion_bench.statistics.ranks import mann_whitney, ratio_of


def by_enumeration(old: list[float], new: list[float]) -> float:
    """The exact two-sided p-value, from every way to deal the joined samples out to the two sides."""

    def u(chosen: tuple[int, ...]) -> int:
        rest = [v for i, v in enumerate(joined) if i not in chosen]
        return sum(joined[i] > other for i in chosen for other in rest)

    joined = [*old, *new]
    n, m = len(old), len(new)
    middle = n * m / 2
    seen = abs(u(tuple(range(n, n + m))) - middle)
    ways = [abs(u(chosen) - middle) >= seen for chosen in itertools.combinations(range(n + m), m)]
    return sum(ways) / len(ways)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (3, 4), (5, 5), (6, 3), (2, 24)])
@pytest.mark.parametrize("shift", [0.0, 0.7, 5.0])
def test_exact_p_value(n: int, m: int, shift: float):
    random = np.random.default_rng(n + 10 * m)
    old, new = random.normal(size=n).tolist(), random.normal(shift, size=m).tolist()
    assert mann_whitney(old, new) == pytest.approx(by_enumeration(old, new))


def test_p_value_with_ties():
    """scipy.stats.mannwhitneyu([1, 2, 2, 3, 3, 3], [2, 3, 3, 4, 5, 6]).pvalue of scipy 1.17.1"""
    assert mann_whitney([1, 2, 2, 3, 3, 3], [2, 3, 3, 4, 5, 6]) == pytest.approx(0.0789746382)
    assert mann_whitney([1, 1, 1], [1, 1]) == 1.0


def test_large_samples_agree_with_scipy():
    stats = pytest.importorskip("scipy.stats")
    random = np.random.default_rng(3)
    for shift in (0.0, 0.3, 1.0):
        old, new = random.normal(size=60), random.normal(shift, size=45)
        assert mann_whitney(old, new) == pytest.approx(stats.mannwhitneyu(old, new, method="asymptotic").pvalue)


def test_p_values_of_equal_samples_are_uniform():
    random = np.random.default_rng(4)
    p = [mann_whitney(random.normal(size=10), random.normal(size=10)) for _ in range(1000)]
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.02)


def test_the_ratio_is_the_median_of_all_quotients():
    found = ratio_of([1.0, 2.0, 4.0], [3.0, 3.0, 6.0])
    assert found.value == pytest.approx(1.5)
    assert not found.known  # 95 % cannot be had from three against three


def test_the_interval_covers_the_ratio_as_often_as_it_says():
    random = np.random.default_rng(5)
    found = [ratio_of(np.exp(random.normal(0, 0.1, 12)), 1.2 * np.exp(random.normal(0, 0.1, 9))) for _ in range(1000)]
    assert 0.93 <= np.mean([i.low <= 1.2 <= i.high for i in found]) <= 0.98


def test_the_ratio_turned_around_is_its_inverse():
    random = np.random.default_rng(6)
    old, new = np.exp(random.normal(size=8)), np.exp(random.normal(size=11))
    there, back = ratio_of(old, new), ratio_of(new, old)
    assert there.value == pytest.approx(1 / back.value)
    assert there.low == pytest.approx(1 / back.high)


@pytest.mark.parametrize("function", [mann_whitney, ratio_of])
def test_an_empty_side_is_an_error(function):
    with pytest.raises(ValueError, match="both sides"):
        function([], [1.0])
