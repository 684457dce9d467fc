"""Pattern search: walk from the best points to their best neighbours (Hooke and Jeeves, 1961, on a discrete
space)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from helion_autotune.points import point_key
from helion_autotune.strategies.base import Strategy

if TYPE_CHECKING:
    from helion_autotune.points import Point
    from helion_autotune.space.search_space import SearchSpace
    from helion_autotune.trial import Trial


class PatternSearch(Strategy):
    """From each of the ``starts`` best starting points, all neighbours of the current point are tried, and the walk
    moves on.

    It moves as soon as one is at least ``min_gain`` (relative) faster, and ends when none is. Starting points are
    the default, the seeds and ``initial`` random points. Walks take turns, best first.
    """

    name: ClassVar[str] = "PatternSearch"

    def __init__(
        self, space: SearchSpace, *, seed: int = 0, initial: int = 30, starts: int = 4, min_gain: float = 0.002
    ) -> None:
        super().__init__(space, seed=seed)
        self.initial, self.starts, self.min_gain = initial, starts, min_gain
        self._initial_points = [p for p in space.seeds if self._claim(p)]
        self._initial_points += [p for _ in range(initial) if (p := self._sample_new()) is not None]
        self._unanswered = {point_key(p) for p in self._initial_points}
        self._walks: list[Walk] | None = None
        self._owner: dict[str, Walk] = {}

    def ask(self, n: int) -> list[Point]:
        points = [self._initial_points.pop(0) for _ in range(min(n, len(self._initial_points)))]
        while len(points) < n and self._walks:
            walk = min((w for w in self._walks if w.todo), key=lambda w: w.turns, default=None)
            if walk is None:
                break
            walk.turns += 1
            point = walk.todo.pop(0)
            if self._claim(point):
                self._owner[point_key(point)] = walk
                walk.outstanding += 1
                points.append(point)
        return points

    def tell(self, trial: Trial) -> None:
        super().tell(trial)
        self._unanswered.discard(trial.key)
        walk = self._owner.pop(trial.key, None)
        if walk is not None:
            walk.outstanding -= 1
            if trial.cost < walk.at.cost * (1 - self.min_gain):
                self._move(walk, trial)
        elif self._walks is None and not self._initial_points and not self._unanswered:
            self._begin_walks()

    def _begin_walks(self) -> None:
        ranked = sorted((t for t in self.trials.values() if t.ok), key=lambda t: t.cost)
        self._walks = [Walk(t) for t in ranked[: self.starts]]
        for walk in self._walks:
            self._move(walk, walk.at)
        self._milestone("Starting points", {"failed": len(self.trials) - len(ranked)}, [t.cost for t in ranked])

    def _move(self, walk: Walk, trial: Trial) -> None:
        walk.at = trial
        walk.steps += 1
        walk.todo = self.space.neighbours(trial.point)
        order = self.rng.permutation(len(walk.todo))
        walk.todo = [walk.todo[int(i)] for i in order]
        if self.best is trial and walk.steps > 1:
            times = [w.at.cost for w in self._walks or ()]
            self._milestone(f"Step {walk.steps - 1}", {"walks": len(times)}, times)

    @property
    def done(self) -> bool:
        if self._walks is None:
            return False
        return not any(w.todo or w.outstanding for w in self._walks)

    def options(self) -> dict[str, object]:
        return {"initial": self.initial, "starts": self.starts}


class Walk:
    """One walk: where it stands, which neighbours are still to be tried, how many are being evaluated."""

    def __init__(self, at: Trial) -> None:
        self.at = at
        self.todo: list[Point] = []
        self.outstanding = 0
        self.turns = 0
        self.steps = 0
