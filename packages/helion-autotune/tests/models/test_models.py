from __future__ import annotations

import numpy as np

from helion_autotune import Trial
from helion_autotune.models.feasibility import Feasibility
from helion_autotune.models.gaussian_process import GaussianProcess
from helion_autotune.models.predictor import Predictor, expected_improvement
from helion_autotune.testing.strategies import mixed_space


def data(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two numbers that matter (one with a bend), one interaction, and six that do not matter."""
    x = np.random.default_rng(seed).random((n, 8))
    return x, 2 * x[:, 0] + (x[:, 1] - 0.5) ** 2 + x[:, 0] * x[:, 1]


def test_predicts_what_it_did_not_see() -> None:
    model = GaussianProcess(8)
    model.fit(*data(80))
    x, y = data(50, seed=1)
    mean, deviation = model.predict(x)
    assert np.sqrt(np.mean((mean - y) ** 2)) < 0.15 * y.std()
    assert np.mean(np.abs(mean - y) < 3 * deviation) > 0.9, "its errors are as it says"


def test_is_sure_of_what_it_saw_and_unsure_far_away() -> None:
    model = GaussianProcess(8)
    x, y = data(40)
    model.fit(x * 0.5, y)
    _, near = model.predict(x[:5] * 0.5)
    _, far = model.predict(np.ones((1, 8)))
    assert near.max() < 0.5 * far.min()


def test_constant_times_and_repeated_points_do_not_break_it() -> None:
    model = GaussianProcess(8)
    x = np.repeat(data(5)[0], 4, axis=0)
    model.fit(x, np.ones(20))
    mean, _ = model.predict(x)
    assert np.allclose(mean, 1.0)


def test_many_points_are_cut_to_the_lowest() -> None:
    model = GaussianProcess(8)
    x, y = data(450)
    model.fit(x, y)
    mean, _ = model.predict(x[np.argsort(y)[:5]])
    assert np.allclose(mean, np.sort(y)[:5], atol=0.1)


def test_expected_improvement_rewards_low_means_and_doubt() -> None:
    low, high, doubtful = expected_improvement(np.array([0.5, 2.0, 2.0]), np.array([0.1, 0.1, 2.0]), 1.0)
    assert low > high
    assert doubtful > high
    assert low >= 0.5
    assert np.all(expected_improvement(np.array([100.0]), np.array([0.1]), 1.0) >= 0)


def test_feasibility_learns_what_makes_points_fail() -> None:
    """Of twelve numbers one decides; forty points are enough to see which."""
    rng = np.random.default_rng(0)
    x = rng.random((40, 12))
    model = Feasibility(12)
    assert model.predict(x).min() > 0.8, "optimistic before it knows"
    model.fit(x, np.ones(40, dtype=bool))
    assert model.predict(x).min() > 0.8
    model.fit(x, x[:, 3] < 0.7)
    fresh = rng.random((60, 12))
    works = fresh[:, 3] < 0.7
    chance = model.predict(fresh)
    assert chance[works].mean() > 0.75
    assert chance[~works].mean() < 0.35
    assert np.all((chance > 0) & (chance <= 1))


def test_choices_are_promising_and_spread() -> None:
    space = mixed_space()
    rng = np.random.default_rng(0)
    points = [space.sample(rng) for _ in range(60)]
    predictor = Predictor(space)
    assert predictor.choose(points, 3) == points[:3], "knowing nothing, it keeps the order"
    trials = [Trial(p, milliseconds=float(p["warps"])) for p in points]
    predictor.fit(trials)
    fresh = [space.sample(rng) for _ in range(100)]
    chosen = predictor.choose(fresh, 5)
    assert np.mean([p["warps"] for p in chosen]) < np.mean([p["warps"] for p in fresh]) / 2
    assert len({str(p) for p in chosen}) == 5
