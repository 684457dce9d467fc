"""The normal distribution, as far as it is needed."""

from __future__ import annotations

import math
from statistics import NormalDist


def two_sided(z: float) -> float:
    """The probability that a standard normal variable is further from 0 than `z`."""
    return math.erfc(abs(z) / math.sqrt(2))


def upper_quantile(tail: float) -> float:
    """The z above which lies the probability `tail`."""
    return NormalDist().inv_cdf(1 - tail)
