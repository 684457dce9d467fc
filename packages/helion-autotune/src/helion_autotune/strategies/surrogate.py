"""Bayesian optimisation over the whole space: a model of all trials says where improvement is expected."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from helion_autotune.models.predictor import Predictor
from helion_autotune.points import point_key
from helion_autotune.strategies.base import Strategy

if TYPE_CHECKING:
    from helion_autotune.points import Point
    from helion_autotune.space.search_space import SearchSpace
    from helion_autotune.trial import Trial

_ELITE = 5


class SurrogateSearch(Strategy):
    """Tries the seeds and ``initial`` random points, then whatever has the highest expected improvement.

    Each ``batch`` is chosen from ``pool`` random points and as many mixtures and neighbours of the best.
    """

    name: ClassVar[str] = "SurrogateSearch"

    def __init__(
        self, space: SearchSpace, *, seed: int = 0, initial: int = 20, batch: int = 8, pool: int = 150
    ) -> None:
        super().__init__(space, seed=seed)
        self.initial, self.batch, self.pool = initial, batch, pool
        self._predictor = Predictor(space)
        self._queue = [p for p in space.seeds if self._claim(p)]
        self._queue += [p for _ in range(initial) if (p := self._sample_new()) is not None]
        self._exhausted = False

    def ask(self, n: int) -> list[Point]:
        if not self._queue and not self._exhausted:
            self._propose(max(n, self.batch))
        points, self._queue = self._queue[:n], self._queue[n:]
        return points

    def tell(self, trial: Trial) -> None:
        super().tell(trial)
        if len(self.trials) == self.initial:
            times = [t.cost for t in self.trials.values() if t.ok]
            self._milestone("Initial points", {"failed": len(self.trials) - len(times)}, times)
        elif len(self.trials) % 50 == 0:
            self._milestone(f"{len(self.trials)} configs", {}, [t.cost for t in self.trials.values() if t.ok])

    def _propose(self, n: int) -> None:
        self._predictor.fit(self.trials.values())
        chosen = self._predictor.choose(self._candidates(), n)
        self._queue = [p for p in chosen if self._claim(p)]
        self._exhausted = not self._queue

    def _candidates(self) -> list[Point]:
        elite = sorted((t for t in self.trials.values() if t.ok), key=lambda t: t.cost)[:_ELITE]
        points = self._samples(self.pool)
        if elite:
            points += self.space.neighbours(elite[0].point)
        for _ in range(self.pool if len(elite) > 1 else 0):
            a, b = (elite[int(i)].point for i in self.rng.choice(len(elite), 2, replace=False))
            child = self.space.crossover(a, b, self.rng)
            moves = self.space.neighbours(child)
            points.append(moves[int(self.rng.integers(len(moves)))] if moves else child)
        fresh = {key: p for p in points if (key := point_key(p)) not in self._proposed and self.space.allows(p)}
        return list(fresh.values())

    @property
    def done(self) -> bool:
        return self._exhausted and not self._queue

    def options(self) -> dict[str, object]:
        return {"initial": self.initial, "batch": self.batch}
