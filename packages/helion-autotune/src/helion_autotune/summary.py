"""What a run did, in numbers: counts by status, and failures grouped by what they say."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from helion_autotune.trial import Trial

_NUMBER = re.compile(r"0x[0-9a-fA-F]+|\d+(\.\d+)?")
_LONGEST_MESSAGE = 160


@dataclass(frozen=True)
class FailureGroup:
    """Failures of one status whose messages differ only in numbers; ``example`` is the first of them."""

    status: str
    count: int
    example: str


@dataclass(frozen=True)
class Statistics:
    """A run in numbers. ``seconds`` is wall clock, earlier parts of a resumed run included.

    ``configs`` counts evaluated points, ``resumed`` those of them that came from the journal; ``by_status`` maps
    status names to counts; ``compile_seconds`` sums over all processes.
    """

    seconds: float
    configs: int
    resumed: int
    by_status: dict[str, int]
    compile_seconds: float
    failures: tuple[FailureGroup, ...]

    @property
    def failed(self) -> int:
        """How many points have no time."""
        return sum(group.count for group in self.failures)


def first_line(message: str) -> str:
    """The first line of a message that says anything, cut to a readable length."""
    line = next((text.strip() for text in message.splitlines() if text.strip()), "")
    return line if len(line) <= _LONGEST_MESSAGE else line[: _LONGEST_MESSAGE - 1] + "…"


def group_failures(trials: Iterable[Trial]) -> tuple[FailureGroup, ...]:
    """Failing trials by status and message, most frequent first; numbers in messages do not separate groups."""
    counts: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[str, str], str] = {}
    for trial in trials:
        if not trial.ok:
            text = first_line(trial.message)
            group = (str(trial.status), _NUMBER.sub("#", text))
            counts[group] += 1
            examples.setdefault(group, text)
    return tuple(FailureGroup(group[0], n, examples[group]) for group, n in counts.most_common())


def summarise(trials: Iterable[Trial], seconds: float, resumed: int) -> Statistics:
    """The statistics of a run from its trials."""
    trials = list(trials)
    return Statistics(
        seconds=seconds,
        configs=len(trials),
        resumed=resumed,
        by_status=dict(Counter(str(t.status) for t in trials).most_common()),
        compile_seconds=sum(t.compile_seconds for t in trials),
        failures=group_failures(trials),
    )
