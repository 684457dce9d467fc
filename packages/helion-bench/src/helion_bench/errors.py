"""What a user can do wrong, with what there is instead."""

from __future__ import annotations

from collections.abc import Sequence


class InvalidRequest(ValueError):
    """A request names something that does not exist; the message lists what does."""

    def __init__(self, problem: str, known: Sequence[str] = ()) -> None:
        super().__init__(f"{problem}; there is: {', '.join(known)}" if known else problem)
