"""Faster, slower, same or unclear, and why: many comparisons of two runs judged together.

A case is *slower* (or *faster*) only if all of these hold:

1. The estimate, freed of the machine-wide drift, is beyond the minimum effect.
2. The samples of the two runs differ by Mann-Whitney's test at `SAMPLE_LEVEL`.
3. The difference stands out from the drift between runs, too: |log ratio| against the standard error of the samples
   and the spread of the controls together, at `level` after Holm's correction over all cases.
4. The peers of the case, measured in turn with it, did not move alike: relative to them, the change is beyond the
   minimum effect, too (see `controls`).

It is the *same* if the interval of the ratio lies within the minimum effect, or if that of the ratio relative to every
peer of the case does. All else is *unclear*.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from helion_bench.statistics.controls import Quotients, explained, witnesses
from helion_bench.statistics.interval import Interval
from helion_bench.statistics.multiplicity import holm
from helion_bench.statistics.normal import two_sided, upper_quantile
from helion_bench.statistics.ranks import mann_whitney, ratio_of

MINIMUM_EFFECT = 0.05
LEVEL = 0.01
SAMPLE_LEVEL = 0.01
CONFIDENCE = 0.95
FEWEST_ROUNDS = 5
"""With fewer on both sides, no difference reaches `SAMPLE_LEVEL`."""


class Verdict(str, Enum):
    FASTER = "faster"
    SLOWER = "slower"
    SAME = "same"
    UNCLEAR = "unclear"
    MISSING = "missing"


@dataclass(frozen=True)
class Pair:
    """What is known of one case in two runs: a value a round (its median), old and new; the drift's factor; and ours /
    peer round by round, for each peer of the case that did not change."""

    old: Sequence[float]
    new: Sequence[float]
    factor: float = 1.0
    controls: Sequence[Quotients] = ()


@dataclass(frozen=True)
class Judged:
    """`ratio` is new / old time after the drift is taken out; `p` is adjusted for all cases judged together."""

    verdict: Verdict
    reason: str
    ratio: Interval | None = None
    p: float | None = None


def judge(
    pairs: Sequence[Pair], spread: float, minimum_effect: float = MINIMUM_EFFECT, level: float = LEVEL
) -> list[Judged]:
    """A verdict for each pair, given the `spread` of the drift (standard deviation of log ratios)."""
    testable = [pair for pair in pairs if min(len(pair.old), len(pair.new)) >= FEWEST_ROUNDS]
    ratios = [ratio_of(pair.old, pair.new, CONFIDENCE) / pair.factor for pair in testable]
    adjusted = holm([_drift_p(ratio, spread) for ratio in ratios])
    samples = [mann_whitney([x * pair.factor for x in pair.old], pair.new) for pair in testable]
    found = iter(
        _decide(ratio, p, sample_p, minimum_effect, level, pair.controls)
        for ratio, p, sample_p, pair in zip(ratios, adjusted, samples, testable, strict=True)
    )
    return [next(found) if min(len(pair.old), len(pair.new)) >= FEWEST_ROUNDS else _too_few(pair) for pair in pairs]


def _drift_p(ratio: Interval, spread: float) -> float:
    error = math.log(ratio.high / ratio.low) / (2 * upper_quantile((1 - CONFIDENCE) / 2)) if ratio.known else math.inf
    return two_sided(math.log(ratio.value) / math.hypot(error, spread))


def _too_few(pair: Pair) -> Judged:
    few = min(len(pair.old), len(pair.new))
    ratio = ratio_of(pair.old, pair.new, CONFIDENCE) / pair.factor if few else None
    return Judged(Verdict.UNCLEAR, f"{few} rounds; a verdict needs {FEWEST_ROUNDS} on both sides", ratio)


def _decide(
    ratio: Interval, p: float, sample_p: float, minimum_effect: float, level: float, controls: Sequence[Quotients]
) -> Judged:
    bound = 1 + minimum_effect
    size = f"{abs(change(ratio.value)):.1%} {'slower' if ratio.value > 1 else 'faster'}"
    if ratio.within(1 / bound, bound):
        return Judged(Verdict.SAME, f"within {minimum_effect:.0%} either way", ratio, p)
    if 1 / bound < ratio.value < bound:
        return Judged(Verdict.UNCLEAR, f"the interval reaches beyond {minimum_effect:.0%}", ratio, p)
    if sample_p >= SAMPLE_LEVEL:
        return Judged(Verdict.UNCLEAR, f"{size}, but the samples overlap (p = {sample_p:.2g})", ratio, p)
    if p >= level:
        return Judged(Verdict.UNCLEAR, f"{size}, which the drift between runs explains (p = {p:.2g})", ratio, p)
    relative = witnesses(ratio, controls, CONFIDENCE)
    if explained(ratio, relative, minimum_effect):
        same = all(r.within(1 / bound, bound) for r in relative)
        reason = f"{size}, but its peers moved alike: {_spread(relative)} relative to them"
        return Judged(Verdict.SAME if same else Verdict.UNCLEAR, reason, ratio, p)
    verdict = Verdict.SLOWER if ratio.value > 1 else Verdict.FASTER
    return Judged(verdict, f"{size} (p = {p:.1g})", ratio, p)


def _spread(relative: Sequence[Interval]) -> str:
    changes = [f"{change(r.value):+.1%}" for r in sorted(relative, key=lambda r: r.value)]
    return changes[0] if len(changes) == 1 else f"{changes[0]} to {changes[-1]}"


def change(ratio: float) -> float:
    """The change of the time as a share of the old one: 1.1 is +0.1, 0.9 is -0.1."""
    return ratio - 1
