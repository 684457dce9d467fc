"""How often a comparison of two simulated runs is wrong: `python -m helion_bench.testing.simulate`.

For each drift: verdicts on pairs of equal runs, the second of them on a machine that is 5 % slower, and on pairs in
which one case of 200 became 10 % slower.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from helion_bench.results.compare import Change, compare
from helion_bench.results.model import CaseKey
from helion_bench.statistics.verdict import Verdict
from helion_bench.testing.synthetic import row_cases, synthetic_run

DRIFTS = (0.007, 0.012, 0.025)
"""Standard deviation of a case's log time in a single run; the ratio of two runs has 1.4 times as much."""
PAIRS = 25


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


if __name__ == "__main__":
    for one in DRIFTS:
        print(simulate(one), flush=True)
