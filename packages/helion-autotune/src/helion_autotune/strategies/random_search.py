"""Uniform random points: the baseline that every other strategy has to beat."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from helion_autotune.strategies.base import Strategy

if TYPE_CHECKING:
    from helion_autotune.points import Point
    from helion_autotune.space.search_space import SearchSpace
    from helion_autotune.trial import Trial

_LINE_EVERY = 50


class RandomSearch(Strategy):
    """Tries ``count`` new random points (None: until the budget ends or nothing new is drawn)."""

    name: ClassVar[str] = "RandomSearch"

    def __init__(self, space: SearchSpace, *, seed: int = 0, count: int | None = None) -> None:
        super().__init__(space, seed=seed)
        self.count = count
        self._asked = 0
        self._exhausted = False

    def ask(self, n: int) -> list[Point]:
        if self.count is not None:
            n = min(n, self.count - self._asked)
        points: list[Point] = []
        while len(points) < n and not self._exhausted:
            point = self._sample_new()
            if point is None:
                self._exhausted = True
            else:
                points.append(point)
        self._asked += len(points)
        return points

    def tell(self, trial: Trial) -> None:
        super().tell(trial)
        if len(self.trials) % _LINE_EVERY == 0:
            times = [t.cost for t in self.trials.values() if t.ok]
            self._milestone(f"{len(self.trials)} configs", {"failed": len(self.trials) - len(times)}, times)

    @property
    def done(self) -> bool:
        return self._exhausted or (self.count is not None and self._asked >= self.count)

    def options(self) -> dict[str, object]:
        return {} if self.count is None else {"count": self.count}
