"""Optuna's samplers as a strategy. Needs the extra ``optuna``; also the proof that other libraries fit in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from helion_autotune.optional import require
from helion_autotune.points import canonical, point_key
from helion_autotune.space.list_of import ListOf
from helion_autotune.space.ordered import Ordered
from helion_autotune.strategies.base import Strategy

if TYPE_CHECKING:
    from helion_autotune.points import Point, Value
    from helion_autotune.space.parameter import Parameter
    from helion_autotune.space.search_space import SearchSpace
    from helion_autotune.trial import Trial

_MOST_CHOICES = 256
_REDRAWS = 50


class OptunaSearch(Strategy):
    """Asks an Optuna ``sampler``: the name of one of its classes (``TPESampler``, ``CmaEsSampler``, …) or an instance.

    Ordered parameters become integers (the place in their ladder), lists one parameter per entry, everything else
    categories. Seeds are enqueued first. Points that break a constraint count as failed, and another is drawn.
    Raises MissingDependency without Optuna.
    """

    name: ClassVar[str] = "OptunaSearch"

    def __init__(self, space: SearchSpace, *, seed: int = 0, sampler: Any = "TPESampler") -> None:
        super().__init__(space, seed=seed)
        optuna = require("optuna", "optuna")
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.sampler = sampler if isinstance(sampler, str) else type(sampler).__name__
        chosen = getattr(optuna.samplers, sampler)(seed=seed) if isinstance(sampler, str) else sampler
        self._study = optuna.create_study(sampler=chosen, direction="minimize")
        self._fail = optuna.trial.TrialState.FAIL
        self._dimensions = {
            name: dimension for key, p in space.parameters.items() for name, dimension in _dimensions(key, p)
        }
        self._seeds = list(space.seeds)
        self._open: dict[str, Any] = {}
        self._exhausted = False

    def ask(self, n: int) -> list[Point]:
        points: list[Point] = []
        while len(points) < n and not self.done:
            if self._seeds:
                self._study.enqueue_trial(self._numbers(self._seeds.pop(0)))
            point = self._draw()
            if point is None:
                self._exhausted = True
            else:
                points.append(point)
        return points

    def _draw(self) -> Point | None:
        for _ in range(_REDRAWS):
            trial = self._study.ask()
            point = self._point(trial)
            if self.space.allows(point) and self._claim(point):
                self._open[point_key(point)] = trial
                return point
            known = self.trials.get(point_key(point))
            self._finish(trial, known)
        return None

    def tell(self, trial: Trial) -> None:
        super().tell(trial)
        asked = self._open.pop(trial.key, None)
        if asked is not None:
            self._finish(asked, trial)

    def _finish(self, asked: Any, trial: Trial | None) -> None:
        if trial is not None and trial.ok:
            self._study.tell(asked, trial.cost)
        else:
            self._study.tell(asked, state=self._fail)

    def _point(self, trial: Any) -> Point:
        flat = {name: dimension.suggest(trial, name) for name, dimension in self._dimensions.items()}
        point: Point = {}
        for key, parameter in self.space.parameters.items():
            if isinstance(parameter, ListOf):
                point[key] = [flat[f"{key}.{i}"] for i in range(len(parameter.entries))]
            else:
                point[key] = flat[key]
        return point

    def _numbers(self, point: Point) -> dict[str, Any]:
        flat: dict[str, Value] = {}
        for key, value in point.items():
            if isinstance(self.space.parameters[key], ListOf):
                flat.update({f"{key}.{i}": v for i, v in enumerate(value)})
            else:
                flat[key] = value
        return {name: dimension.number(flat[name]) for name, dimension in self._dimensions.items()}

    @property
    def done(self) -> bool:
        return self._exhausted

    def options(self) -> dict[str, object]:
        return {"sampler": self.sampler}


class Dimension:
    """One thing that Optuna suggests: an index into a ladder, or one of several texts (JSON values as texts)."""

    def __init__(self, values: list[Value], ordered: bool) -> None:
        self._values = values
        self._texts = [canonical(v) for v in values]
        self._ordered = ordered

    def suggest(self, trial: Any, name: str) -> Value:
        """A value, as the sampler wants it."""
        if self._ordered:
            return self._values[trial.suggest_int(name, 0, len(self._values) - 1)]
        return json.loads(trial.suggest_categorical(name, self._texts))

    def number(self, value: Value) -> Any:
        """What Optuna calls this value."""
        index = self._texts.index(canonical(value))
        return index if self._ordered else self._texts[index]


def _dimensions(key: str, parameter: Parameter) -> list[tuple[str, Dimension]]:
    if isinstance(parameter, ListOf):
        return [(f"{key}.{i}", _dimension(e)) for i, e in enumerate(parameter.entries)]
    return [(key, _dimension(parameter))]


def _dimension(parameter: Parameter) -> Dimension:
    if parameter.cardinality() > _MOST_CHOICES and not isinstance(parameter, Ordered):
        raise ValueError(f"{parameter.to_json()!r} has too many values to be a category; pin it")
    ordered = isinstance(parameter, Ordered) and getattr(parameter, "ordered", True)
    return Dimension(parameter.values(), bool(ordered))
