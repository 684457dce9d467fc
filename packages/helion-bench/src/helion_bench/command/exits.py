"""Exit statuses, and what makes a command fail."""

from __future__ import annotations

from collections.abc import Collection

from helion_bench.results.compare import Comparison
from helion_bench.results.model import Run
from helion_bench.results.speedup import failures
from helion_bench.statistics.verdict import Verdict

OK = 0
FAILED = 1
"""What `--fail-on` names was found."""
REFUSED = 2
"""The request cannot be met: unknown names, no GPU, a file that is not there or damaged."""
INTERRUPTED = 130
"""Ctrl-C; what was measured is kept."""

CONDITIONS = {
    "slower": "a case of ours became slower than in the run compared to",
    "wrong": "a case of ours is wrong, raises or hangs",
    "missing": "a case of ours that was right in the other run is not tried in this one",
}
NEEDS_COMPARISON = frozenset({"slower", "missing"})


def failed(conditions: Collection[str], run: Run, comparison: Comparison | None) -> list[str]:
    """What was found of what `conditions` name, a line each."""
    found = []
    if "wrong" in conditions and (bad := failures(run)):
        found.append(f"{len(bad)} wrong, in error or too slow to end")
    if comparison is not None:
        if "slower" in conditions and (count := comparison.count(Verdict.SLOWER)):
            found.append(f"{count} slower")
        if "missing" in conditions and (vanished := sum(change.vanished for change in comparison.changes)):
            found.append(f"{vanished} missing")
    return found
