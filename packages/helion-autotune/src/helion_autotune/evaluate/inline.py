"""Evaluation by a plain function in this process."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING

from helion_autotune.trial import Trial, failed_trial

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from helion_autotune.evaluate.protocol import Best
    from helion_autotune.points import Point


class InlineEvaluator:
    """Calls ``function(point)``, which returns milliseconds or a whole trial, one point at a time.

    An exception from the function makes a failing trial: the errors derived from ``CandidateError`` name their
    status, any other exception counts as a crash. ``interleaved`` measures finalists; without it the function is
    called again, three rounds over all of them, and the smallest time of each counts.
    """

    capacity = 1

    def __init__(
        self,
        function: Callable[[Point], float | Trial],
        interleaved: Callable[[Sequence[Point]], list[float | None]] | None = None,
        *,
        rounds: int = 3,
    ) -> None:
        self._function = function
        self._interleaved = interleaved
        self._rounds = rounds

    def submit(self, point: Point, best: Best) -> Future[Trial]:
        future: Future[Trial] = Future()
        future.set_result(self._evaluate(point))
        return future

    def _evaluate(self, point: Point) -> Trial:
        try:
            outcome = self._function(point)
            return outcome if isinstance(outcome, Trial) else Trial(point, milliseconds=float(outcome))
        except Exception as error:  # a candidate may raise anything, and only it is to be lost
            return failed_trial(point, error)

    def measure_interleaved(self, points: Sequence[Point]) -> list[float | None]:
        if self._interleaved is not None:
            return self._interleaved(points)
        best: list[float | None] = [None] * len(points)
        for _ in range(self._rounds):
            for i, point in enumerate(points):
                cost = self._evaluate(point).milliseconds
                previous = best[i]
                best[i] = cost if previous is None or cost is None else min(cost, previous)
        return best

    def cancel(self) -> None:
        """Nothing is ever in flight."""

    def close(self) -> None:
        """Nothing is held."""
