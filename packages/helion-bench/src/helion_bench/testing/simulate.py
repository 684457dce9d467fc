"""How often a comparison of two simulated runs is wrong: `python -m helion_bench.testing.simulate [RUN.json]`.

For each drift: verdicts on pairs of equal runs, the second of them on a machine that is 5 % slower, and on pairs in
which one case of 200 became 10 % slower. With a recorded run, its own samples are drawn again (see `resample`), and a
case of its is made 3, 5, 7 and 10 % slower.
"""

from __future__ import annotations

import statistics
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from helion_bench.results.compare import Change, compare
from helion_bench.results.derived import host_bound, timed
from helion_bench.results.model import CaseKey, Run
from helion_bench.results.store import read_run
from helion_bench.statistics.verdict import Verdict
from helion_bench.testing.resample import Machine, resampled
from helion_bench.testing.synthetic import row_cases, synthetic_run

DRIFTS = (0.007, 0.012, 0.025)
"""Standard deviation of a case's log time in a single run; the ratio of two runs has 1.4 times as much."""
PAIRS = 25
PLANTED = (3, 5, 7, 10)
"""Per cent."""
MACHINES = (Machine(0.0015, 0.003), Machine(0.0025, 0.005), Machine(0.005, 0.008, falls=0.05))
"""The first is what equal runs on an H100 showed."""


def flagged(changes: Sequence[Change]) -> list[CaseKey]:
    """The cases that are called slower or faster."""
    return [change.case for change in changes if change.verdict in (Verdict.SLOWER, Verdict.FASTER)]


def simulate(drift: float, pairs: int = PAIRS) -> str:
    """One line of figures."""
    cases = row_cases(20, 10)
    verdicts: Counter[Verdict] = Counter()
    hits = beside = 0
    for i in range(pairs):
        old = synthetic_run(1000 + 2 * i, cases, drift=drift)
        equal = synthetic_run(1001 + 2 * i, cases, drift=drift, shift=0.05)
        verdicts.update(change.verdict for change in compare(old, equal).changes)
        case = cases[i * 7 % len(cases)]
        slower = synthetic_run(1001 + 2 * i, cases, drift=drift, slower={(case.op, case.shape): 1.10})
        found = flagged(compare(old, slower).changes)
        hits += case in found
        beside += sum(other != case for other in found)
    wrong, total = verdicts[Verdict.SLOWER] + verdicts[Verdict.FASTER], sum(verdicts.values())
    return (
        f"ratio drifts by {drift * 2**0.5:.1%}: equal runs: {wrong} of {total} called different, "
        f"{verdicts[Verdict.SAME] / total:.1%} the same; 10 % slower: found in {hits} of {pairs}, {beside} beside"
    )


def simulate_recorded(run: Run, machine: Machine, pairs: int = PAIRS) -> str:
    """The same of a recorded run."""
    cases = [c.case for c in run.cells if c.backend == "helion" and timed(c) and not host_bound(c)]
    verdicts: Counter[Verdict] = Counter()
    hits: Counter[int] = Counter()
    spreads = []
    for i in range(pairs):
        old = resampled(run, machine, 2 * i)
        found = compare(old, resampled(run, machine, 2 * i + 1, shift=0.02))
        verdicts.update(change.verdict for change in found.changes if change.backend == "helion")
        spreads.append(found.drift.spread)
        for percent in PLANTED:
            case = cases[(i * 31 + percent) % len(cases)]
            slower = resampled(run, machine, 2 * i + 1, shift=0.02, slower={case: 1 + percent / 100})
            changes = compare(old, slower).changes
            hits[percent] += (case, Verdict.SLOWER) in {(change.case, change.verdict) for change in changes}
    total = sum(verdicts.values())
    return (
        f"{machine}: single cases seem to drift by {statistics.mean(spreads):.1%}; equal runs of {len(cases)} cases: "
        f"{verdicts[Verdict.SLOWER]} slower, {verdicts[Verdict.FASTER]} faster of {total}, "
        f"{verdicts[Verdict.SAME] / total:.1%} the same; found: "
        + ", ".join(f"{hits[percent]} of {pairs} by {percent} %" for percent in PLANTED)
    )


if __name__ == "__main__":
    if sys.argv[1:]:
        for machine in MACHINES:
            print(simulate_recorded(read_run(Path(sys.argv[1])), machine), flush=True)
    else:
        for one in DRIFTS:
            print(simulate(one), flush=True)
