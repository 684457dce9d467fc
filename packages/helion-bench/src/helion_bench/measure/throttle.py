"""Which rounds to leave out because the GPU ran slower than it can.

A GPU at its power limit is not throttling in this sense: matrix products run there all the time, and a user's do too.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

SLOWDOWNS = frozenset({"hw_slowdown", "hw_thermal_slowdown", "hw_power_brake_slowdown", "sw_thermal_slowdown"})
_SLOWEST = 0.85  # of the median clock of all rounds


@dataclass(frozen=True)
class State:
    """What the driver says at one moment: why clocks are lowered, and the clock of the multiprocessors."""

    reasons: frozenset[str] = frozenset()
    sm_mhz: float | None = None


def throttled(states: Sequence[State]) -> set[int]:
    """Rounds to leave out; `states[i]` and `states[i + 1]` were seen before and after round `i`."""
    clocks = [s.sm_mhz for s in states if s.sm_mhz]
    usual = statistics.median(clocks) if clocks else 0.0

    def slow(state: State) -> bool:
        return bool(state.reasons & SLOWDOWNS) or (state.sm_mhz or usual) < _SLOWEST * usual

    return {k for k in range(len(states) - 1) if slow(states[k]) or slow(states[k + 1])}
