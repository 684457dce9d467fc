"""What changes between two runs though no code did: estimated from controls, code that is the same in both.

Two runs of one program differ by more than their samples tell: the machine as a whole (clocks, temperature, driver),
and each case by itself (where memory came to lie, what ran just before). Samples taken within a run cannot show
either, so a test on them alone finds "significant" differences between a program and itself.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

import numpy as np

DEFAULT_SPREAD = 0.02
"""Standard deviation of log ratios assumed where there are too few controls. Equal configs were seen to differ by
1 to 3.5 % between sequential runs."""
LEAST_SPREAD = 0.01
FEW = 8
_WEIGHT_OF_ALL = 8  # as many controls of one group count half in that group's shift


@dataclass(frozen=True)
class Drift:
    """How two runs differ where nothing changed, in logarithms of new / old.

    `shift` is the machine-wide difference, `groups` that of each group of cases, `spread` the standard deviation of
    what is left, `controls` the number of ratios it comes from.
    """

    shift: float = 0.0
    groups: tuple[tuple[Hashable, float], ...] = ()
    spread: float = DEFAULT_SPREAD
    controls: int = 0

    def factor(self, group: Hashable) -> float:
        """What a ratio new / old of this group is to be divided by."""
        return math.exp(dict(self.groups).get(group, self.shift))


def estimate_drift(controls: Iterable[tuple[Hashable, float]]) -> Drift:
    """The drift that (group, new / old) pairs of unchanged code show.

    The shift is their median. A group (an op: its cases are bound by the same thing) has a shift of its own, drawn
    towards that of all by as much as its controls are few. The spread is the larger of two robust estimates, from the
    median and from the 90th percentile of absolute deviations, so that a tenth of wild controls is not overlooked;
    it is at least `LEAST_SPREAD`. With fewer than `FEW` controls no shift is taken out and the spread is at least
    `DEFAULT_SPREAD`. The median absolute deviation: F. R. Hampel, Journal of the American Statistical Association 69
    (1974) 383.
    """
    pairs = [(group, math.log(ratio)) for group, ratio in controls]
    if len(pairs) < FEW:
        return Drift(controls=len(pairs))
    shift = float(np.median([value for _, value in pairs]))
    groups = {group: [value for g, value in pairs if g == group] for group in dict.fromkeys(g for g, _ in pairs)}
    shifts = {group: _drawn_to(shift, values) for group, values in groups.items()}
    away = np.abs([value - shifts[group] for group, value in pairs])
    spread = max(float(np.median(away)) / 0.6745, float(np.quantile(away, 0.9)) / 1.6449, LEAST_SPREAD)
    return Drift(shift, tuple(shifts.items()), spread, len(pairs))


def _drawn_to(shift: float, values: list[float]) -> float:
    own = len(values)
    return (own * float(np.median(values)) + _WEIGHT_OF_ALL * shift) / (own + _WEIGHT_OF_ALL)
