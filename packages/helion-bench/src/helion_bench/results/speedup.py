"""How much faster ours is than its peers within one run: per peer, and against the best of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from helion_bench.results.derived import host_bound, median_us, round_medians, round_quotients, timed
from helion_bench.results.model import CaseKey, Cell, Latency, Role, Run, Status
from helion_bench.statistics.interval import Interval, geometric_mean, median_interval
from helion_bench.statistics.ranks import ratio_of

TIE = 0.02
"""A speed-up whose interval is not wholly beyond this much either way is a tie."""


Outcome = Literal["win", "tie", "loss"]


def outcome(speedup: Interval) -> Outcome:
    """What a speed-up, or the mean of many, comes to."""
    if speedup.low > 1 + TIE:
        return "win"
    return "loss" if speedup.high < 1 / (1 + TIE) else "tie"


@dataclass(frozen=True)
class Speedup:
    """One case of one backend of ours: `against` holds time of the peer / our time, by peer; `best` names the fastest.

    Only cells whose results are right take part, on both sides. `host_bound` names the peers compared to which one of
    the two times is not the GPU's alone.
    """

    case: CaseKey
    backend: str
    against: dict[str, Interval]
    best: str
    host_bound: frozenset[str] = frozenset()

    @property
    def best_peer(self) -> Interval:
        """Against the best peer."""
        return self.against[self.best]

    @property
    def outcome(self) -> Outcome:
        """Against the best peer."""
        return outcome(self.best_peer)


@dataclass(frozen=True)
class Summary:
    """Speed-ups over the best peer of many cases: geometric mean with its interval, and outcomes counted.

    `against` holds the geometric mean over each peer, of the cases that it computed right. `host_bound` names the peers
    over which a comparison in the mean is.
    """

    count: int
    mean: Interval
    wins: int
    ties: int
    losses: int
    against: dict[str, Interval]
    host_bound: frozenset[str] = frozenset()
    best_host_bound: bool = False


def speedup_of(ours: Latency, peer: Latency) -> Interval:
    """Time of `peer` / time of `ours`: the median of the quotients within each round, which met the same clocks.

    Without a round in common, the median of all quotients between rounds. Where each was measured once, as
    tritonbench does, that of all quotients between samples; drift from one to the other is not in its interval.
    """
    if len(ours.rounds) == len(peer.rounds) == 1:
        return ratio_of(ours.rounds[0], peer.rounds[0])
    quotients = round_quotients(peer, ours)
    if quotients:
        return median_interval(quotients)
    return ratio_of(round_medians(ours), round_medians(peer))


def speedups(run: Run, backend: str) -> list[Speedup]:
    """For every case that `backend` and at least one peer computed right and in time measured."""
    peers = run.names(Role.PEER)
    cells = run.by_key
    found = []
    for case in run.cases:
        ours = cells.get((case, backend))
        rivals = [cell for name in peers if timed(cell := cells.get((case, name))) and cell is not None]
        if ours is None or not timed(ours) or not rivals:
            continue
        against = {cell.backend: _between(ours, cell) for cell in rivals}
        bound = frozenset(cell.backend for cell in rivals if host_bound(cell) or host_bound(ours))
        found.append(Speedup(case, backend, against, min(rivals, key=_time).backend, bound))
    return found


def _between(ours: Cell, peer: Cell) -> Interval:
    assert ours.latency is not None and peer.latency is not None
    return speedup_of(ours.latency, peer.latency)


def _time(cell: Cell) -> float:
    us = median_us(cell)
    return math.inf if us is None else us


def summarise(found: Sequence[Speedup]) -> Summary | None:
    """None without cases."""
    if not found:
        return None
    outcomes = [speedup.outcome for speedup in found]
    mean = geometric_mean([speedup.best_peer.value for speedup in found])
    peers = dict.fromkeys(name for speedup in found for name in speedup.against)
    against = {
        name: geometric_mean([speedup.against[name].value for speedup in found if name in speedup.against])
        for name in peers
    }
    return Summary(
        len(found), mean, outcomes.count("win"), outcomes.count("tie"), outcomes.count("loss"), against,
        host_bound=frozenset().union(*(speedup.host_bound for speedup in found)),
        best_host_bound=any(speedup.best in speedup.host_bound for speedup in found),
    )  # fmt: skip


def failures(run: Run, roles: Iterable[Role] = (Role.OURS,)) -> list[Cell]:
    """Cells of these roles that were tried and did not come out right."""
    names = {name for role in roles for name in run.names(role)}
    bad = {Status.WRONG, Status.ERROR, Status.TIMEOUT}
    return [cell for cell in run.cells if cell.backend in names and cell.status in bad]
