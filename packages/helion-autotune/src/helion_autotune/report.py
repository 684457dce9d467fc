"""The lines that a run prints.

::

    [0s] Starting DifferentialEvolutionSearch with population=40, generations=20, crossover_rate=0.8
    [20s] Initial population: failed=10 min=0.9677 mid=3.0013 max=22.1430 best=Config(...)
    [593s] Autotuning complete in 593.1s after searching 1520 configs.
    One can hardcode the best config and skip autotuning with:
        @helion.kernel(config=helion.Config(...))

How a point and the last line read is the client's business, who passes functions for both.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from helion_autotune.observer import Observer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from helion_autotune.points import Point
    from helion_autotune.result import Result
    from helion_autotune.strategies.base import Milestone
    from helion_autotune.summary import Statistics

_GROUPS_SHOWN = 4


def times_text(milliseconds: Sequence[float]) -> str:
    """``min=… mid=… max=…`` of some times, mid being the median; empty without times."""
    if not milliseconds:
        return ""
    mid = statistics.median(milliseconds)
    return f"min={min(milliseconds):.4f} mid={mid:.4f} max={max(milliseconds):.4f}"


def milestone_text(milestone: Milestone, show_point: Callable[[Point], str]) -> str:
    """One line of progress, without the time."""
    parts = [f"{name}={count}" for name, count in milestone.counts.items() if count]
    parts.append(times_text(milestone.milliseconds))
    if milestone.best is not None:
        parts.append(f"best={show_point(milestone.best)}")
    return f"{milestone.title}: " + " ".join(part for part in parts if part)


def failure_lines(statistics: Statistics) -> Iterator[str]:
    """How many configs failed and why, most frequent reason first; nothing if none failed."""
    if not statistics.failed:
        return
    yield f"{statistics.failed} of {statistics.configs} configs failed:"
    for group in statistics.failures[:_GROUPS_SHOWN]:
        yield f"    {group.count} {group.status}: {group.example}"
    rest = statistics.failures[_GROUPS_SHOWN:]
    if rest:
        yield f"    {sum(group.count for group in rest)} for {len(rest)} other reasons"


class Reporter(Observer):
    """Gives each line to ``write`` (without newline).

    ``show_point`` prints a point, ``show_hardcode`` the line that pins it (None: that hint is left out).
    """

    def __init__(
        self,
        write: Callable[[str], None],
        show_point: Callable[[Point], str] = repr,
        show_hardcode: Callable[[Point], str] | None = None,
    ) -> None:
        self._write = write
        self._show_point = show_point
        self._show_hardcode = show_hardcode

    def started(self, description: str, seconds: float) -> None:
        self._line(f"Starting {description}", seconds)

    def milestone(self, milestone: Milestone, seconds: float) -> None:
        self._line(milestone_text(milestone, self._show_point), seconds)

    def warning(self, text: str, seconds: float) -> None:
        self._line(f"Warning: {text}", seconds)

    def ended(self, result: Result, seconds: float) -> None:
        for i, line in enumerate(failure_lines(result.statistics)):
            self._line(line, seconds) if i == 0 else self._write(line)
        if result.stopped == "interrupted":
            self._line("Interrupted; the best config so far is kept.", seconds)
        configs = result.statistics.configs
        self._line(f"Autotuning complete in {seconds:.1f}s after searching {configs} configs.", seconds)
        if result.milliseconds is None:
            self._line("Nothing could be measured; the default config is used.", seconds)
        elif self._show_hardcode is not None:
            self._write("One can hardcode the best config and skip autotuning with:")
            self._write(f"    {self._show_hardcode(result.point)}")

    def _line(self, text: str, seconds: float) -> None:
        self._write(f"[{int(seconds)}s] {text}")
