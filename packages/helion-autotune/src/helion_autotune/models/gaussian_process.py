"""A Gaussian process over encoded points, small enough to fit in milliseconds.

Effects of kernel settings mostly multiply, so the model works on log time, where they add. The covariance is the
sum of an additive part (each number for itself) and a Matérn 5/2 part over all numbers together (interactions),
with one relevance weight per number found by coordinate ascent on the marginal likelihood (Rasmussen and Williams,
2006, chapters 4 and 5).
"""

from __future__ import annotations

import math

import numpy as np

_MOST_POINTS = 400
_SQRT5 = math.sqrt(5.0)
_ADDITIVE_SHARE = 0.5
_INITIAL_WEIGHT = 2.0
_WEIGHT_FACTORS = (0.25, 4.0)
_WEIGHT_LIMITS = (1e-3, 64.0)
_NOISES = (1e-4, 1e-3, 1e-2, 5e-2)


def _matern(squared: np.ndarray) -> np.ndarray:
    r = _SQRT5 * np.sqrt(np.maximum(squared, 0.0))
    return (1.0 + r + r * r / 3.0) * np.exp(-r)


class GaussianProcess:
    """Fit with :meth:`fit`, ask with :meth:`predict`. Deterministic: the same data give the same model."""

    def __init__(self, width: int) -> None:
        self._weights = np.full(width, _INITIAL_WEIGHT)
        self._noise = 1e-3
        self._tuned_at = 0
        self._x = np.zeros((0, width))
        self._mean, self._scale = 0.0, 1.0

    def fit(self, x: np.ndarray, y: np.ndarray) -> None:
        """Learn ``y`` (n) at ``x`` (n, width). Beyond 400 points, only the 400 lowest count.

        Relevance weights are searched anew when the data have grown by a third, else kept.
        """
        if len(y) > _MOST_POINTS:
            keep = np.argsort(y, kind="stable")[:_MOST_POINTS]
            x, y = x[keep], y[keep]
        self._x = x
        self._mean, self._scale = float(np.mean(y)), float(np.std(y)) or 1.0
        target = (y - self._mean) / self._scale
        if len(y) >= 8 and len(y) >= 1.33 * self._tuned_at:
            self._tune(target)
            self._tuned_at = len(y)
        factor, alpha = self._solve(self._covariance(x, x), target, self._noise)
        self._factor, self._alpha = factor, alpha
        self._amplitude = max(1e-3, float(target @ alpha) / max(1, len(y)))

    def predict(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of ``y`` at ``x`` (m, width)."""
        cross = self._covariance(x, self._x)
        mean = cross @ self._alpha
        spread = 1.0 - np.sum((cross @ self._factor) ** 2, axis=1)
        deviation = np.sqrt(np.maximum(spread, 1e-9) * self._amplitude)
        return self._mean + self._scale * mean, self._scale * deviation

    def correlation(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Prior correlation of the values at ``a`` (m, width) with those at ``b`` (n, width), from 0 to 1."""
        return self._covariance(a, b)

    def _covariance(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        squared = (a[:, None, :] - b[None, :, :]) ** 2
        return self._combine(squared, np.exp(-2.0 * squared), self._weights)

    @staticmethod
    def _combine(squared: np.ndarray, decay: np.ndarray, weights: np.ndarray) -> np.ndarray:
        additive = decay @ (weights / max(1e-9, float(np.sum(weights))))
        return _ADDITIVE_SHARE * additive + (1.0 - _ADDITIVE_SHARE) * _matern(squared @ weights)

    @staticmethod
    def _solve(covariance: np.ndarray, y: np.ndarray, noise: float) -> tuple[np.ndarray, np.ndarray]:
        """The factor F with F Fᵀ = (K + noise)⁻¹, and (K + noise)⁻¹ y."""
        lower = np.linalg.cholesky(covariance + (noise + 1e-8) * np.eye(len(y)))
        factor = np.linalg.inv(lower).T
        return factor, factor @ (factor.T @ y)

    def _tune(self, y: np.ndarray) -> None:
        """One round of coordinate ascent over the noise and each relevance weight."""
        x = self._x if len(y) <= 200 else self._x[:200]
        y = y[: len(x)]
        squared = (x[:, None, :] - x[None, :, :]) ** 2
        decay = np.exp(-2.0 * squared)
        best = -math.inf
        for noise in _NOISES:
            score = self._score(squared, decay, self._weights, y, noise)
            if score > best:
                best, self._noise = score, noise
        for k in range(squared.shape[2]):
            if not squared[:, :, k].any():
                continue
            for weight_factor in _WEIGHT_FACTORS:
                weights = self._weights.copy()
                weights[k] = np.clip(weights[k] * weight_factor, *_WEIGHT_LIMITS)
                score = self._score(squared, decay, weights, y, self._noise)
                if score > best + 1e-6:
                    best, self._weights = score, weights

    def _score(self, squared: np.ndarray, decay: np.ndarray, weights: np.ndarray, y: np.ndarray, noise: float) -> float:
        """Log marginal likelihood up to a constant, the amplitude maximised out."""
        n = len(y)
        lower = np.linalg.cholesky(self._combine(squared, decay, weights) + (noise + 1e-8) * np.eye(n))
        half = np.linalg.solve(lower, y)
        variance = max(1e-6, float(half @ half) / n)
        return -0.5 * n * math.log(variance) - float(np.sum(np.log(np.diag(lower))))
