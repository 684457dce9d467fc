"""Estimates with confidence intervals: a median, a geometric mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Interval:
    """An estimate, between the ends of its confidence interval.

    Where there is too little data for an interval at the level asked for, `low` and `high` are 0 and infinity (all
    quantities here are positive): nothing is known but the estimate.
    """

    value: float
    low: float
    high: float

    @property
    def known(self) -> bool:
        """Whether there is an interval at all."""
        return math.isfinite(self.high)

    def within(self, low: float, high: float) -> bool:
        """Whether the whole interval lies between `low` and `high`."""
        return low <= self.low and self.high <= high

    def __truediv__(self, factor: float) -> Interval:
        """The interval of the quantity divided by a known positive factor."""
        return Interval(self.value / factor, self.low / factor, self.high / factor)


def median_interval(samples: Sequence[float], confidence: float = 0.95) -> Interval:
    """The median with a distribution-free interval between two order statistics.

    The k-th smallest and the k-th largest of n samples enclose the median with probability 1 - 2 P(B < k), B binomial
    (n, 1/2), whatever the distribution. The largest k that gives at least `confidence` is taken; 95 % needs 6 samples.
    W. R. Thompson, Annals of Mathematical Statistics 7 (1936) 122; H. A. David and H. N. Nagaraja, Order Statistics,
    3rd ed. (2003), section 7.1. Raises ValueError without samples.
    """
    if not len(samples):
        raise ValueError("a median needs samples")
    ordered = np.sort(np.asarray(samples, dtype=float))
    n = len(ordered)
    value = float(np.median(ordered))
    k = _enclosing_rank(n, (1 - confidence) / 2)
    if k == 0:
        return Interval(value, 0.0, math.inf)
    return Interval(value, float(ordered[k - 1]), float(ordered[n - k]))


def _enclosing_rank(n: int, tail: float) -> int:
    """The largest k with P(B <= k - 1) <= tail for B binomial (n, 1/2); 0 if there is none."""
    cumulative, k = 0.0, 0
    while k < n:
        cumulative += math.exp(math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) - n * math.log(2))
        if cumulative > tail:
            break
        k += 1
    return k


def geometric_mean(ratios: Sequence[float], confidence: float = 0.95, resamples: int = 2000, seed: int = 0) -> Interval:
    """The geometric mean of positive ratios with a percentile bootstrap interval over them.

    The geometric mean is the one mean of ratios that does not depend on which side is the baseline: P. J. Fleming and
    J. J. Wallace, Communications of the ACM 29 (1986) 218. The bootstrap: B. Efron and R. J. Tibshirani, An
    Introduction to the Bootstrap (1993), section 13.3. One ratio has no interval. Raises ValueError without ratios.
    """
    if not len(ratios):
        raise ValueError("a mean needs ratios")
    logs = np.log(np.asarray(ratios, dtype=float))
    value = float(np.exp(logs.mean()))
    if len(logs) == 1:
        return Interval(value, 0.0, math.inf)
    drawn = np.random.default_rng(seed).choice(logs, size=(resamples, len(logs))).mean(axis=1)
    low, high = np.exp(np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2]))
    return Interval(value, float(low), float(high))
