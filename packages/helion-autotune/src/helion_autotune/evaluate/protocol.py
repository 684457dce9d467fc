"""The interface between a session and whatever evaluates points."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future

    from helion_autotune.points import Point
    from helion_autotune.trial import Trial


class Best:
    """The best time so far, shared by the session with evaluators that cut slow candidates short."""

    def __init__(self) -> None:
        self.milliseconds: float = math.inf


@runtime_checkable
class Evaluator(Protocol):
    """Turns points into trials. A session calls all methods from one thread.

    An evaluator outlives a session: its warm processes serve the next one. Its maker closes it.
    """

    capacity: int
    """How many points should be in flight to keep it busy."""

    def submit(self, point: Point, best: Best) -> Future[Trial]:
        """Start evaluating ``point``.

        A failing candidate gives a trial with a failing status. An exception in the future is a defect of the
        evaluator; the session counts it as a crash of that candidate.
        """
        ...

    def measure_interleaved(self, points: Sequence[Point]) -> list[float | None]:
        """Measure points against each other, round robin, in milliseconds; None for one that fails.

        Called once, at the end, with points that were measured before and nothing in flight. May raise
        NotImplementedError; the times of the search then decide.
        """
        ...

    def cancel(self) -> None:
        """Drop everything in flight and return once nothing is being measured. Dropped futures are cancelled."""
        ...

    def close(self) -> None:
        """Release processes and files. The session never calls this: whoever made the evaluator does."""
        ...
