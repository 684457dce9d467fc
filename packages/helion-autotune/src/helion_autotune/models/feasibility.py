"""How likely a point is to work at all, learned from which points worked.

A Gaussian process on the outcomes (1 worked, 0 failed) with relevances of its own: what makes a candidate fail
(shared memory: block sizes and stages) is seldom what makes it slow. Plain distances over all numbers learn that
far too late.
"""

from __future__ import annotations

import numpy as np

from helion_autotune.models.gaussian_process import GaussianProcess

_PRIOR = 0.9
_LEAST = 0.02
_MEMORY = 300


class Feasibility:
    """Fit with :meth:`fit`, ask with :meth:`predict`. Optimistic until it has seen a failure."""

    def __init__(self, width: int) -> None:
        self._process = GaussianProcess(width)
        self._fitted = False

    def fit(self, x: np.ndarray, ok: np.ndarray) -> None:
        """Learn outcomes ``ok`` (n, True or False) at ``x`` (n, width)."""
        self._fitted = bool(len(ok)) and not ok.all() and bool(ok.any())
        if self._fitted:
            self._process.fit(x[-_MEMORY:], 1.0 - ok[-_MEMORY:].astype(np.float64))

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Probability of success at ``x`` (m, width), in (0, 1]."""
        if not self._fitted:
            return np.full(len(x), _PRIOR)
        failure, _ = self._process.predict(x)
        return np.clip(1.0 - failure, _LEAST, 1.0)
