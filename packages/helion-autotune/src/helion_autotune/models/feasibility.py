"""How likely a point is to work at all, from the successes and failures near it."""

from __future__ import annotations

import numpy as np

_SHARPNESS = 12.0
_PRIOR_WEIGHT = 0.5


class Feasibility:
    """Kernel-weighted share of successes, drawn towards an optimistic prior where nothing is near."""

    def __init__(self) -> None:
        self._x: np.ndarray | None = None
        self._ok = np.zeros(0)
        self._prior = 0.9

    def fit(self, x: np.ndarray, ok: np.ndarray) -> None:
        """Learn outcomes ``ok`` (n, 0 or 1) at ``x`` (n, width)."""
        self._x, self._ok = x, ok.astype(np.float64)
        self._prior = max(0.5, float(np.mean(self._ok))) if len(ok) else 0.9

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Probability of success at ``x`` (m, width), in (0, 1)."""
        if self._x is None or not len(self._x):
            return np.full(len(x), self._prior)
        squared = np.sum((x[:, None, :] - self._x[None, :, :]) ** 2, axis=2)
        weight = np.exp(-_SHARPNESS * squared / max(1.0, x.shape[1] / 8))
        return (weight @ self._ok + _PRIOR_WEIGHT * self._prior) / (weight.sum(axis=1) + _PRIOR_WEIGHT)
