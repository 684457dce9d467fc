"""The interface of a search strategy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from helion_autotune.errors import NoValidPoint
from helion_autotune.points import point_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from helion_autotune.points import Point
    from helion_autotune.space.search_space import SearchSpace
    from helion_autotune.trial import Trial


@dataclass(frozen=True)
class Milestone:
    """One line of progress: ``[20s] Initial population: failed=10 min=… mid=… max=… best=…``.

    ``milliseconds`` are the times that min, mid (median) and max are taken of; ``best`` is the point to show.
    """

    title: str
    counts: dict[str, int] = field(default_factory=dict)
    milliseconds: Sequence[float] = ()
    best: Point | None = None


class Strategy(ABC):
    """Proposes points and learns from trials.

    The session is the only caller, from one thread. It loops:

    1. ``ask(n)`` whenever n evaluations could start. The strategy returns up to n points, fewer if it must wait for
       outstanding trials, none if it waits or is done. Points should be new and must be valid.
    2. ``tell(trial)`` once for every asked point, in whatever order evaluations end, so with several evaluations in
       flight other ``ask`` calls come in between. Also once, unasked, for the default point before anything else
       (unless ``starts_with_default`` is false), and at the end for trials known from a journal or a cache.
    3. ``milestones()`` after each tell, to print progress.

    It stops when ``done`` is true and nothing is in flight, or when the budget ends, and then calls ``finalists(n)``.
    Returning nothing while not done and nothing is in flight is an error (StrategyStalled).

    The same seed and the same order of calls give the same proposals: draw only from ``self.rng``.
    """

    name: ClassVar[str]
    """What the strategy is called in the start line, e.g. ``PatternSearch``."""

    starts_with_default: ClassVar[bool] = True
    """Whether the session evaluates the space's default before anything that the strategy asks for."""

    def __init__(self, space: SearchSpace, *, seed: int = 0) -> None:
        self.space = space
        self.seed = seed
        self.rng = np.random.default_rng(seed)
        self.trials: dict[str, Trial] = {}
        self.best: Trial | None = None
        self._milestones: list[Milestone] = []
        self._proposed: set[str] = set()

    @abstractmethod
    def ask(self, n: int) -> list[Point]:
        """Up to ``n`` points to try next."""

    def tell(self, trial: Trial) -> None:
        """Learn one outcome. Overrides call this first: it keeps ``trials`` (by key) and ``best``."""
        self.trials[trial.key] = trial
        self._proposed.add(trial.key)
        if trial.ok and (self.best is None or trial.cost < self.best.cost):
            self.best = trial

    @property
    @abstractmethod
    def done(self) -> bool:
        """Whether :meth:`ask` will never propose anything again."""

    def options(self) -> dict[str, object]:
        """The parameters shown in the start line, in order."""
        return {}

    def describe(self) -> str:
        """The start line's text, e.g. ``RandomSearch with count=200``."""
        options = ", ".join(f"{key}={value}" for key, value in self.options().items())
        return f"{self.name} with {options}" if options else self.name

    def finalists(self, n: int) -> list[Point]:
        """The points to measure once more against each other, best first. Duplicates of one kernel appear once."""
        ranked = sorted((t for t in self.trials.values() if t.ok), key=lambda t: t.cost)
        distinct = [t for t in ranked if "same_as" not in t.facts]
        return [t.point for t in distinct[:n]]

    def milestones(self) -> list[Milestone]:
        """Lines of progress since the last call."""
        lines, self._milestones = self._milestones, []
        return lines

    def _claim(self, point: Point) -> bool:
        """Whether ``point`` was never proposed before; from now on it counts as proposed."""
        key = point_key(point)
        if key in self._proposed:
            return False
        self._proposed.add(key)
        return True

    def _sample_new(self, attempts: int = 200) -> Point | None:
        """A claimed random point, or None if that many draws give nothing new: the space is as good as exhausted."""
        for _ in range(attempts):
            drawn = self._samples(1)
            if not drawn:
                return None
            if self._claim(drawn[0]):
                return drawn[0]
        return None

    def _samples(self, count: int) -> list[Point]:
        """``count`` random points, none where the constraints leave next to nothing to draw."""
        try:
            return [self.space.sample(self.rng) for _ in range(count)]
        except NoValidPoint:
            return []

    def _milestone(self, title: str, counts: dict[str, int], milliseconds: Sequence[float]) -> None:
        best = self.best.point if self.best else None
        self._milestones.append(Milestone(title, counts, list(milliseconds), best))
