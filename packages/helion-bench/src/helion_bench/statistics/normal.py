"""The normal distribution and Student's, as far as they are needed."""

from __future__ import annotations

import math
from statistics import NormalDist


def two_sided(z: float) -> float:
    """The probability that a standard normal variable is further from 0 than `z`."""
    return math.erfc(abs(z) / math.sqrt(2))


def upper_quantile(tail: float) -> float:
    """The z above which lies the probability `tail`."""
    return NormalDist().inv_cdf(1 - tail)


def lower_tail(z: float) -> float:
    """The probability that a standard normal variable is below `z`."""
    return math.erfc(-z / math.sqrt(2)) / 2


def student_quantile(tail: float, degrees: int) -> float:
    """The t above which lies the probability `tail` of Student's distribution, to 0.3 % from 4 degrees of freedom.

    M. Abramowitz and I. A. Stegun, Handbook of Mathematical Functions (1964), 26.7.5.
    """
    z, n = upper_quantile(tail), degrees
    second = (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2)
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * n**3)
    return z + (z**3 + z) / (4 * n) + second + third
