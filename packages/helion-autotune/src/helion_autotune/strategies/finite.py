"""A given list of points, each tried once."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from helion_autotune.errors import InvalidParameter
from helion_autotune.points import point_key
from helion_autotune.strategies.base import Strategy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from helion_autotune.points import Point
    from helion_autotune.space.search_space import SearchSpace
    from helion_autotune.trial import Trial


_MOST_POINTS = 1_000_000


class FiniteSearch(Strategy):
    """Tries ``points`` in order (repeats once); without ``points``, the whole space, which had better be small.

    The default is tried only if it is in the list. Points outside the space raise InvalidPoint at once, and a space of
    more than a million points InvalidParameter.
    """

    name: ClassVar[str] = "FiniteSearch"
    starts_with_default: ClassVar[bool] = False

    def __init__(self, space: SearchSpace, *, seed: int = 0, points: Sequence[Point] | None = None) -> None:
        super().__init__(space, seed=seed)
        if points is None and space.size > _MOST_POINTS:
            raise InvalidParameter(f"{space.size:.3g} points are too many to try them all; give `points`")
        chosen = list(space.points() if points is None else points)
        for point in chosen:
            space.validate(point)
        self._todo = {point_key(p): p for p in chosen}
        self.count = len(self._todo)
        self._outstanding = set(self._todo)

    def ask(self, n: int) -> list[Point]:
        keys = list(self._todo)[:n]
        return [self._todo.pop(key) for key in keys]

    def tell(self, trial: Trial) -> None:
        super().tell(trial)
        self._todo.pop(trial.key, None)
        if trial.key in self._outstanding:
            self._outstanding.discard(trial.key)
            if not self._outstanding:
                self._report()

    def _report(self) -> None:
        times = [t.cost for t in self.trials.values() if t.ok]
        self._milestone("All configs", {"failed": len(self.trials) - len(times)}, times)

    @property
    def done(self) -> bool:
        return not self._todo

    def options(self) -> dict[str, object]:
        return {"configs": self.count}
