"""The default: ranked seeds first, then model-guided local search that restarts instead of stopping early."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from helion_autotune.models.predictor import Predictor
from helion_autotune.points import point_key
from helion_autotune.strategies.base import Strategy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from helion_autotune.points import Point
    from helion_autotune.space.search_space import SearchSpace
    from helion_autotune.trial import Trial

_ELITE = 4
_MIXTURES = 60
_SECOND_STEPS = 80
_GAIN = 0.003


class GuidedSearch(Strategy):
    """Local search around a centre, each round chosen by a model of all trials so far.

    1. *Seeds*: the space's ranked seeds, then ``initial`` random points to give the model a scale.
    2. *Rounds* of ``batch`` points, chosen by expected improvement among the neighbours of the centre (uniform
    moves of
       lists included), second steps beyond them, and mixtures of the best points. The centre is the best point of
       this local search.
    3. After ``patience`` points without a gain of 0.3 %, a *restart*: the most promising of many points far from
    all earlier
       centres becomes the next centre. A restart that gets nowhere returns to the best, and after ``restarts`` of
       them the search is done once no neighbour of the best is untried.

    ``patience`` defaults to the number of free numbers in a point's code, but 24 at least.
    """

    name: ClassVar[str] = "GuidedSearch"

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        initial: int = 6,
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
        self._centers: list[Point] = []
        self._idle = 0
        self._restarted = 0
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
        if trial.ok and (self._center is None or trial.cost < self._center.cost * (1 - _GAIN)):
            self._center = trial
            self._idle = 0
        else:
            self._idle += 1
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
        self._predictor.fit(self.trials.values())
        if self._idle >= self.patience:
            self._turn()
        candidates = self._untried(self._vicinity())
        chosen = self._predictor.choose(candidates, n) if candidates else self._last_resort(n)
        self._queue = [p for p in chosen if self._claim(p)]
        self._done = not self._queue or self._finished(candidates)

    def _finished(self, candidates: list[Point]) -> bool:
        return self._restarted > self.restarts and len(candidates) <= len(self._queue)

    def _turn(self) -> None:
        """The local search is stuck: go back to the best if elsewhere, else start anew far away."""
        self._idle = 0
        if self._center is not None:
            self._centers.append(self._center.point)
        if self._center is not self.best:
            self._center = self.best
        elif self._restarted <= self.restarts:
            self._restarted += 1
            self._center = self._distant_center()

    def _distant_center(self) -> Trial | None:
        """The most promising tried point among those at least as far from all centres as the median one is."""
        alive = [t for t in self.trials.values() if t.ok]
        if not alive:
            return None
        gap = {t.key: min((self.space.distance(t.point, c) for c in self._centers), default=1.0) for t in alive}
        far = sorted(gap.values())[len(gap) // 2]
        return min((t for t in alive if gap[t.key] >= far), key=lambda t: t.cost)

    def _vicinity(self) -> Iterable[Point]:
        """Neighbours of the centre, second steps beyond them, mixtures of the best, and some random points."""
        if self._center is None:
            yield from (self.space.sample(self.rng) for _ in range(_MIXTURES))
            return
        near = self.space.neighbours(self._center.point)
        yield from near
        for i in self.rng.choice(len(near), min(_SECOND_STEPS, len(near)), replace=False) if near else ():
            further = self.space.neighbours(near[int(i)])
            yield from (further[int(k)] for k in self.rng.choice(len(further), min(3, len(further)), replace=False))
        yield from self._mixtures()

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
