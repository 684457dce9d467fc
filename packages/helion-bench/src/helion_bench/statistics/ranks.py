"""Two samples compared by ranks: whether they differ (Mann-Whitney), and by how much (Hodges-Lehmann)."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from helion_bench.statistics.interval import Interval
from helion_bench.statistics.normal import two_sided, upper_quantile

_EXACT_UP_TO = 400  # pairs; beyond, the normal approximation is good to 0.004, unless one side is very small


def mann_whitney(old: Sequence[float], new: Sequence[float]) -> float:
    """The two-sided p-value that `old` and `new` come from one distribution.

    Exact for small samples without ties; else the normal approximation with corrections for ties and continuity.
    H. B. Mann and D. R. Whitney, Annals of Mathematical Statistics 18 (1947) 50; E. L. Lehmann, Nonparametrics (1975),
    chapter 1. Raises ValueError if a side is empty.
    """
    x, y = _sides(old, new)
    n, m = len(x), len(y)
    joined = np.concatenate([x, y])
    _, inverse, counts = np.unique(joined, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    u = float(ranks[n:].sum()) - m * (m + 1) / 2
    if len(counts) == n + m and n * m <= _EXACT_UP_TO:
        lower = _cumulative(n, m)[round(min(u, n * m - u))]
        return min(1.0, 2 * lower)
    total = n + m
    ties = float((counts.astype(float) ** 3 - counts).sum()) / (total * (total - 1))
    variance = n * m / 12 * (total + 1 - ties)
    if variance <= 0:
        return 1.0
    return two_sided(max(0.0, abs(u - n * m / 2) - 0.5) / math.sqrt(variance))


def ratio_of(old: Sequence[float], new: Sequence[float], confidence: float = 0.95) -> Interval:
    """How many times as large `new` is as `old`: the median of all quotients new / old, with its interval.

    That is the Hodges-Lehmann estimate of the shift of the logarithms, and the interval belongs to the Mann-Whitney
    test. J. L. Hodges and E. L. Lehmann, Annals of Mathematical Statistics 34 (1963) 598; M. Hollander, D. A. Wolfe and
    E. Chicken, Nonparametric Statistical Methods, 3rd ed. (2014), section 4.3. Values are above 0. Raises ValueError
    if a side is empty.
    """
    x, y = _sides(old, new)
    n, m = len(x), len(y)
    differences = np.sort((np.log(y)[:, None] - np.log(x)[None, :]).ravel())
    value = float(np.exp(np.median(differences)))
    k = _critical(n, m, (1 - confidence) / 2)
    if k == 0:
        return Interval(value, 0.0, math.inf)
    return Interval(value, float(np.exp(differences[k - 1])), float(np.exp(differences[n * m - k])))


def _sides(old: Sequence[float], new: Sequence[float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if not len(old) or not len(new):
        raise ValueError("a comparison needs samples on both sides")
    return np.asarray(old, dtype=float), np.asarray(new, dtype=float)


@functools.lru_cache(maxsize=64)
def _cumulative(n: int, m: int) -> tuple[float, ...]:
    """P(U <= u) for u = 0 … nm without ties: the coefficients of the Gaussian binomial (n + m choose n)."""
    counts = [1] + [0] * (n * m)
    for i in range(1, n + 1):
        for u in range(n * m, m + i - 1, -1):
            counts[u] -= counts[u - m - i]
        for u in range(i, n * m + 1):
            counts[u] += counts[u - i]
    total = math.comb(n + m, n)
    return tuple(float(c) / total for c in np.cumsum(np.array(counts, dtype=object)))


def _critical(n: int, m: int, tail: float) -> int:
    """The largest k with P(U <= k - 1) <= tail; 0 if there is none."""
    if n * m <= _EXACT_UP_TO:
        return sum(p <= tail for p in _cumulative(n, m))
    spread = math.sqrt(n * m * (n + m + 1) / 12)
    return max(0, math.floor(n * m / 2 - upper_quantile(tail) * spread))
