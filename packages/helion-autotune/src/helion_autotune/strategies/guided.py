"""The default: ranked seeds first, then model-guided local search that restarts instead of stopping early."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from helion_autotune.models.predictor import Predictor
from helion_autotune.points import point_key
from helion_autotune.strategies.base import Strategy
from helion_autotune.trial import NO_TIME

if TYPE_CHECKING:
    from collections.abc import Iterable

    from helion_autotune.points import Point
    from helion_autotune.space.search_space import SearchSpace
    from helion_autotune.trial import Trial

_ELITE = 4
"""How many of the best are mixed."""
_MIXTURES = 40
_SECOND_STEPS = 15
_NEAR_SHARE = 0.4
"""The part of a batch that goes to plain neighbours of the centre."""
_CLIMBS = 3
_CLIMBERS = 3
_STEPS_BEYOND = 30
_GAIN = 0.01
"""Relative gains below this are noise and do not keep a local search alive."""


class GuidedSearch(Strategy):
    """Local search around a centre, each round chosen by a model of all trials so far.

    1. *Seeds*: the space's ranked seeds, then ``initial`` random points. More of those do not pay: nearly all are
       poor.
    2. *Screening*: every other category of every parameter of the best seed, for all entries of a list at once. A
       model that has seen a few entries moved alone would talk the search out of it. Repeated for the best before a
       restart.
    3. *Rounds* of ``batch`` points, chosen by expected improvement times the chance to work at all: some among the
       neighbours of the centre (uniform moves of lists included), most among steps beyond the most promising
       neighbours and mixtures of the best points. The centre is the best point of this local search.
    4. After ``patience`` points without a gain of 1 % (more than noise), a *restart*: the most promising of random
       points and of what lies beyond them becomes the next centre, and gets half as much patience. After ``restarts``
       of them the search goes back to the best, and ends when that is stuck, too.

    ``patience`` defaults to the number of numbers in a point's code, but 24 at least.
    """

    name: ClassVar[str] = "GuidedSearch"

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        initial: int = 2,
        batch: int = 8,
        patience: int | None = None,
        restarts: int = 6,
    ) -> None:
        super().__init__(space, seed=seed)
        self.batch, self.restarts = batch, restarts
        self.patience = patience or max(24, space.width)
        self._predictor = Predictor(space)
        self._queue = [p for p in space.seeds if self._claim(p)]
        self._queue += [p for _ in range(initial) if (p := self._sample_new()) is not None]
        self._opening = len(self._queue)
        self._center: Trial | None = None
        self._idle = 0
        self._restarted = 0
        self._screenings = 0
        self._round: list[Trial] = []
        self._rounds = 0
        self._done = False

    def ask(self, n: int) -> list[Point]:
        if not self._queue and not self._done:
            self._propose(max(n, self.batch))
        points, self._queue = self._queue[:n], self._queue[n:]
        return points

    def tell(self, trial: Trial) -> None:
        super().tell(trial)
        gain = 1.0 if self._center is None else 1.0 - trial.cost / max(self._center.cost, NO_TIME)
        self._idle = 0 if trial.ok and gain > _GAIN else self._idle + 1
        if trial.ok and gain > 0:
            self._center = trial
        self._round.append(trial)
        self._report()

    def _report(self) -> None:
        length = self._opening + 1 if self._rounds == 0 else 4 * self.batch
        if len(self._round) < length:
            return
        times = [t.cost for t in self._round if t.ok]
        title = "Initial points" if self._rounds == 0 else f"Round {self._rounds}"
        self._milestone(title, {"failed": len(self._round) - len(times), "restarts": self._restarted}, times)
        self._rounds += 1
        self._round = []

    def _propose(self, n: int) -> None:
        if self._screen_best():
            return
        self._predictor.fit(self.trials.values())
        if self._idle >= (self.patience if self._center is self.best else self.patience // 2):
            self._turn()
        self._queue = [] if self._done else [p for p in self._choices(n) if self._claim(p)]
        self._done = not self._queue

    def _screen_best(self) -> bool:
        """Queue the untried alternatives of the best point, at the start and before a restart; False if none is due."""
        due = self._screenings == 0 or self._idle >= self.patience
        if self.best is None or not due:
            return False
        self._screenings += 1
        self._queue = [p for p in self.space.alternatives(self.best.point) if self._claim(p)]
        return bool(self._queue)

    def _choices(self, n: int) -> list[Point]:
        near = self._untried(self.space.neighbours(self._center.point)) if self._center else []
        chosen = self._predictor.choose(near, int(n * _NEAR_SHARE))
        taken = {point_key(p) for p in chosen}
        further = [p for p in self._extended(self._untried(self._vicinity())) if point_key(p) not in taken]
        return chosen + self._predictor.choose(further, n - len(chosen)) or self._last_resort(n)

    def _turn(self) -> None:
        """The local search is stuck: start anew, or back at the best once all restarts are used, or end there."""
        self._idle = 0
        if self._restarted < self.restarts:
            self._restarted += 1
            self._center = None
        elif self._center is not self.best:
            self._center = self.best
        else:
            self._done = True

    def _vicinity(self) -> Iterable[Point]:
        """Neighbours of the centre, second steps beyond them, mixtures of the best; random points at a restart."""
        if self._center is None:
            yield from self._samples(_MIXTURES)
            return
        near = self.space.neighbours(self._center.point)
        yield from near
        for i in self.rng.choice(len(near), min(_SECOND_STEPS, len(near)), replace=False) if near else ():
            further = self.space.neighbours(near[int(i)])
            yield from (further[int(k)] for k in self.rng.choice(len(further), min(3, len(further)), replace=False))
        yield from self._mixtures()

    def _extended(self, candidates: list[Point]) -> list[Point]:
        """Add what lies a step beyond the most promising candidates, three times: ridges cross several parameters."""
        pool = {point_key(p): p for p in candidates}
        expanded: set[str] = set()
        for _ in range(_CLIMBS if self._predictor.ready else 0):
            fresh = [p for key, p in pool.items() if key not in expanded]
            for top in self._predictor.choose(fresh, _CLIMBERS):
                expanded.add(point_key(top))
                beyond = self.space.neighbours(top)
                picked = self.rng.permutation(len(beyond))[:_STEPS_BEYOND]
                pool.update((point_key(p), p) for p in self._untried(beyond[int(i)] for i in picked))
        return list(pool.values())

    def _mixtures(self) -> Iterable[Point]:
        elite = sorted((t for t in self.trials.values() if t.ok), key=lambda t: t.cost)[:_ELITE]
        for _ in range(_MIXTURES if len(elite) > 1 else 0):
            a, b = (elite[int(i)].point for i in self.rng.choice(len(elite), 2, replace=False))
            yield self.space.crossover(a, b, self.rng)

    def _untried(self, points: Iterable[Point]) -> list[Point]:
        fresh = {key: p for p in points if (key := point_key(p)) not in self._proposed and self.space.allows(p)}
        return list(fresh.values())

    def _last_resort(self, n: int) -> list[Point]:
        """Nothing new around: random points, so that a small space is searched to the end."""
        points = [p for _ in range(n) if (p := self._sample_new()) is not None]
        self._proposed.difference_update(point_key(p) for p in points)
        return points

    @property
    def done(self) -> bool:
        return self._done and not self._queue

    def options(self) -> dict[str, object]:
        return {"batch": self.batch, "patience": self.patience, "restarts": self.restarts}
