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
        self._checking, self._cases = 0.0, 0

    @property
    def left(self) -> float | None:
        """Seconds until the deadline."""
        return None if self._deadline is None else self._deadline - self._clock()

    @property
    def expired(self) -> bool:
        return self.left is not None and self.left <= 0

    def checked(self, cases: int, seconds: float) -> None:
        """So many cases were checked side by side in `seconds`."""
        self._checking, self._cases = seconds, self._cases + cases

    @property
    def too_late(self) -> bool:
        """Whether checking as many cases as last time would take all the time there is."""
        return self.left is not None and self.left <= self._checking

    def measured(self, rounds: float) -> None:
        """The rounds of a case took so many seconds."""
        self._rounds += rounds

    def share(self, cases: int) -> float:
        """Seconds for the rounds of the next of `cases` cases: what is left beside all that is no rounds."""
        if self.left is None:
            return self._most
        others = (self._clock() - self._begin - self._rounds) / max(1, self._cases)
        return min(self._most, max(0.0, self.left / max(1, cases) - others))
