"""Whether code that did not change, measured in turn with ours, moved as much as ours did.

Drift (see `drift`) is what the machine does to all cases, or to an op. A single case can meet a state of the machine
that others do not: a GPU at its power limit ran two products 8 % slower in one of two equal runs, ours and the peer
alike. Within a round both met the same clocks, so the quotient ours / peer of a round is free of that.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence

from helion_bench.statistics.interval import Interval
from helion_bench.statistics.ranks import ratio_of

Quotients = tuple[Sequence[float], Sequence[float]]
"""Ours / a peer, round by round: in the old run, in the new one."""

_FEWEST_ROUNDS = 5  # fewer have no interval


def witnesses(change: Interval, controls: Iterable[Quotients], confidence: float = 0.95) -> list[Interval]:
    """The change relative to each control that can tell `change` from none.

    That is the Hodges-Lehmann ratio of the quotients, new / old, with its interval (see `ranks.ratio_of`). A control so
    noisy that its interval holds both 1 (it moved as ours did) and `change` (ours moved alone) says nothing and is left
    out.
    """
    relative = [ratio_of(old, new, confidence) for old, new in controls if min(len(old), len(new)) >= _FEWEST_ROUNDS]
    return [r for r in relative if not (_holds(r, 1.0) and _holds(r, change.value))]


def explained(change: Interval, relative: Sequence[Interval], minimum_effect: float) -> bool:
    """Whether `change` is not ours: relative to the controls, half of it is gone, or it is within the minimum effect.

    Their median counts, so that one that moved by itself decides nothing among three. Half is where "all moved" and
    "ours moved" are equally likely, as ours and the peers drift alike. Without a control that can tell, nothing is
    explained.
    """
    if not relative:
        return False
    left = statistics.median(math.log(r.value) for r in relative)
    return left / math.log(change.value) < 0.5 or abs(left) < math.log1p(minimum_effect)


def _holds(interval: Interval, value: float) -> bool:
    return interval.low <= value <= interval.high
