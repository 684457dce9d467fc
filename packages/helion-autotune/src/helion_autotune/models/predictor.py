"""What strategies ask of their model: how promising are these points, given these trials?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from helion_autotune.models.feasibility import Feasibility
from helion_autotune.models.gaussian_process import GaussianProcess
from helion_autotune.trial import NO_TIME

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from helion_autotune.points import Point
    from helion_autotune.space.search_space import SearchSpace
    from helion_autotune.trial import Trial

_DOUBT = 0.5
"""Share of the model's uncertainty that counts: below one, the search trusts it more and roams less."""

_SQRT2 = math.sqrt(2.0)
_erf = np.vectorize(math.erf, otypes=[float])


def expected_improvement(mean: np.ndarray, deviation: np.ndarray, best: float) -> np.ndarray:
    """Expected fall below ``best`` under normal predictions (Jones, Schonlau and Welch, 1998)."""
    z = (best - mean) / deviation
    density = np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    return deviation * (z * 0.5 * (1.0 + _erf(z / _SQRT2)) + density)


class Predictor:
    """Time and success of points of one space, learned from trials."""

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._codes: dict[str, np.ndarray] = {}
        self._process = GaussianProcess(space.width)
        self._feasibility = Feasibility(space.width)
        self._y = np.zeros(0)
        self._x = np.zeros((0, space.width))
        self.ready = False
        """Whether there were enough successes (two) to say anything."""

    def fit(self, trials: Iterable[Trial]) -> None:
        """Learn from all trials so far."""
        trials = list(trials)
        if not trials:
            return
        x = np.stack([self._encode_trial(t) for t in trials])
        ok = np.array([t.ok for t in trials])
        self._feasibility.fit(x, ok)
        self.ready = int(ok.sum()) >= 2
        if self.ready:
            times = np.log(np.maximum([t.cost for t in trials if t.ok], NO_TIME))
            # beyond ten times the best, differences do not matter, and would only stretch the scale
            self._x, self._y = x[ok], np.minimum(times, times.min() + math.log(10.0))
            self._process.fit(self._x, self._y)

    def choose(self, points: Sequence[Point], n: int) -> list[Point]:
        """The ``n`` points that promise most together, best first.

        Each choice is taken to turn out as predicted before the next is made, so the choices spread.
        """
        if not self.ready or len(points) <= n:
            return list(points[:n])
        x = np.stack([self._space.encode(p) for p in points])
        success = self._feasibility.predict(x)
        best = float(self._process.predict(self._x)[0].min())
        chosen: list[int] = []
        mean, deviation = self._process.predict(x)
        for _ in range(n):
            score = expected_improvement(mean, _DOUBT * deviation, best) * success
            score[chosen] = -1.0
            chosen.append(int(np.argmax(score)))
            deviation = deviation * self._shrink(x, x[chosen[-1]])
        return [points[i] for i in chosen]

    def _shrink(self, x: np.ndarray, at: np.ndarray) -> np.ndarray:
        """By how much deviations fall once the point ``at`` is known: the correlation with it is what goes."""
        correlation = self._process.correlation(x, at[None, :])[:, 0]
        return np.sqrt(np.maximum(1.0 - correlation**2, 0.05))

    def _encode_trial(self, trial: Trial) -> np.ndarray:
        code = self._codes.get(trial.key)
        if code is None:
            code = self._codes[trial.key] = self._space.encode(trial.point)
        return code
