"""The outcome of a tuning run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from helion_autotune.points import Point
    from helion_autotune.summary import Statistics
    from helion_autotune.trial import Trial


@dataclass(frozen=True)
class Result:
    """The outcome of a run.

    ``milliseconds`` is None if nothing was measured: then ``point`` is the default. ``play_off`` holds the
    finalists with their interleaved times. ``stopped`` says why the search ended: ``done`` (the strategy has
    nothing left), ``seconds`` or ``configs`` (the budget), ``interrupted`` (Ctrl-C).
    """

    point: Point
    milliseconds: float | None
    trials: list[Trial]
    statistics: Statistics
    stopped: str
    play_off: tuple[tuple[Point, float | None], ...] = ()
