"""The interface of everything that watches a run: reports, logs, progress displays, journals."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from helion_autotune.points import Point
    from helion_autotune.result import Result
    from helion_autotune.strategies.base import Milestone
    from helion_autotune.trial import Trial


class Observer:
    """Told by the session, in its thread, what happens; ``seconds`` count from the start of the run.

    Every method does nothing unless overridden. Observers deal with their own troubles (a full disk) and do not
    raise.
    """

    def started(self, description: str, seconds: float) -> None:
        """The search begins; ``description`` is the strategy with its parameters."""

    def submitted(self, point: Point, key: str, seconds: float) -> None:
        """The evaluation of a point begins."""

    def finished(self, trial: Trial, best: Trial | None, fraction: float | None, seconds: float) -> None:
        """A point is settled; ``fraction`` of the budget is used (None without limits)."""

    def milestone(self, milestone: Milestone, seconds: float) -> None:
        """The strategy has a line of progress to show."""

    def warning(self, text: str, seconds: float) -> None:
        """Something the user should know, which does not end the run."""

    def ended(self, result: Result, seconds: float) -> None:
        """The run is over."""

    def close(self) -> None:
        """Release files and displays. Called exactly once, also after an exception."""
