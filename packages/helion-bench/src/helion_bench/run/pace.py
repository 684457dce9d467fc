"""How long the rounds of a case may take, so that all cases come to be measured in the time of the run."""

from __future__ import annotations

import time
from collections.abc import Callable


class Pace:
    """Shares out the time until `deadline` (of `clock`; None: no end), at most `most` seconds of rounds to a case."""

    def __init__(self, deadline: float | None, most: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._deadline, self._most, self._clock = deadline, most, clock
        self._begin = clock()
        self._rounds = 0.0
        self._checked = self._measured = 0
        self._checking = 0.0

    @property
    def left(self) -> float | None:
        """Seconds until the deadline."""
        return None if self._deadline is None else self._deadline - self._clock()

    @property
    def expired(self) -> bool:
        return self.left is not None and self.left <= 0

    def checked(self, cases: int, seconds: float) -> None:
        """So many more cases wait for being measured; checking them took `seconds`."""
        self._checked += cases
        self._checking = seconds

    def measured(self, rounds: float) -> None:
        """One more case was measured, its rounds took so many seconds."""
        self._measured += 1
        self._rounds += rounds

    def room(self, cases: int) -> int:
        """How many of `cases` to check next: no more than can be measured, as long as they have taken so far.

        The slowest check of a few is taken for half as long as that of the many before.
        """
        if self.left is None or not self._measured:
            return cases
        if self.left < self._checking / 2:
            return 0
        each = (self._clock() - self._begin) / self._measured
        return max(0, min(cases, int(self.left / max(each, 1e-3))))

    def share(self, cases: int) -> float:
        """Seconds for the rounds of the next of `cases` cases: what is left beside all that is no rounds."""
        if self.left is None:
            return self._most
        others = (self._clock() - self._begin - self._rounds) / max(1, self._checked)
        return min(self._most, max(0.0, self.left / max(1, cases) - others))
