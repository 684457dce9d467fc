"""The space of all points: parameters by name, rules over whole points, a default, ranked seeds."""

from __future__ import annotations

import copy
import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from helion_autotune.errors import InvalidParameter, InvalidPoint, NoValidPoint
from helion_autotune.points import Point, digest, point_key
from helion_autotune.space.choices import Fixed
from helion_autotune.space.constraints import reason_against
from helion_autotune.space.serialise import constraint_from_json, parameter_from_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from helion_autotune.space.constraints import Rule
    from helion_autotune.space.parameter import Parameter

_SAMPLE_ATTEMPTS = 1000


class SearchSpace:
    """Every point that may be tried.

    ``default`` is always evaluated first, so it should be safe; each parameter's own default stands in for missing
    keys. ``seeds`` are promising points, best first. Both must be valid, or InvalidPoint is raised here rather than
    mid-search.
    """

    def __init__(
        self,
        parameters: Mapping[str, Parameter],
        constraints: Sequence[Rule] = (),
        default: Point | None = None,
        seeds: Sequence[Point] = (),
    ) -> None:
        self.parameters: dict[str, Parameter] = dict(parameters)
        self.constraints = tuple(constraints)
        self._default = {name: p.default for name, p in self.parameters.items()} | dict(default or {})
        self.validate(self._default)
        self.seeds = tuple(self._default | dict(seed) for seed in seeds)
        for seed in self.seeds:
            self.validate(seed)

    def default(self) -> Point:
        """A fresh copy of the default point."""
        return copy.deepcopy(self._default)

    def check(self, point: Point) -> list[str]:
        """Every reason why ``point`` is not in this space; empty if it is."""
        reasons = [f"unknown key {name!r}" for name in point if name not in self.parameters]
        for name, parameter in self.parameters.items():
            if name not in point:
                reasons.append(f"missing key {name!r}")
            elif reason := parameter.check(point[name]):
                reasons.append(f"{name}: {reason}")
        if reasons:
            return reasons
        return [reason for rule in self.constraints if (reason := reason_against(rule, point))]

    def validate(self, point: Point) -> None:
        """Raise InvalidPoint with all reasons unless ``point`` is in this space."""
        if reasons := self.check(point):
            raise InvalidPoint(reasons)

    def allows(self, point: Point) -> bool:
        """Whether the rules accept a point whose values are known to be fine one by one."""
        return all(reason_against(rule, point) is None for rule in self.constraints)

    def sample(self, rng: np.random.Generator) -> Point:
        """A random point; raises NoValidPoint if a thousand draws break the constraints."""
        for _ in range(_SAMPLE_ATTEMPTS):
            point = {name: p.sample(rng) for name, p in self.parameters.items()}
            if self.allows(point):
                return point
        raise NoValidPoint(f"{_SAMPLE_ATTEMPTS} random points all break a constraint; narrow the parameters' limits")

    def neighbours(self, point: Point) -> list[Point]:
        """Valid points that differ in one parameter by one move, in a fixed order, without repeats."""
        found: dict[str, Point] = {}
        for name, parameter in self.parameters.items():
            for value in parameter.neighbours(point[name]):
                candidate = {**point, name: value}
                if self.allows(candidate):
                    found.setdefault(point_key(candidate), candidate)
        found.pop(point_key(point), None)
        return list(found.values())

    def alternatives(self, point: Point) -> list[Point]:
        """The neighbours that do one thing in another way (``Parameter.alternatives``): a screening of a point."""
        moves = [{**point, n: value} for n, p in self.parameters.items() for value in p.alternatives(point[n])]
        return [move for move in moves if self.allows(move)]

    def repair(self, point: Point) -> Point | None:
        """The valid point nearest to one from elsewhere: unknown keys dropped, missing ones defaulted, values
        snapped.

        None if the constraints still reject it and no single move heals that.
        """
        fixed = {n: p.repair(point[n]) if n in point else self._default[n] for n, p in self.parameters.items()}
        if self.allows(fixed):
            return fixed
        return next(iter(self.neighbours(fixed)), None)

    def crossover(self, a: Point, b: Point, rng: np.random.Generator) -> Point:
        """A child of two points, each parameter from one or mixed by the parameter itself. May break constraints."""
        return {name: p.crossover(a[name], b[name], rng) for name, p in self.parameters.items()}

    @property
    def width(self) -> int:
        """Length of an encoded point."""
        return sum(p.width for p in self.parameters.values())

    def encode(self, point: Point) -> np.ndarray:
        """The point as a float64 vector of ``width`` numbers in [0, 1]."""
        return np.array([x for name, p in self.parameters.items() for x in p.encode(point[name])], dtype=np.float64)

    def distance(self, a: Point, b: Point) -> float:
        """Mean distance over the parameters that can vary, from 0 to 1."""
        free = [n for n, p in self.parameters.items() if p.cardinality() > 1]
        return sum(self.parameters[n].distance(a[n], b[n]) for n in free) / max(1, len(free))

    @property
    def size(self) -> int:
        """How many points there are, constraints not counted."""
        return math.prod(p.cardinality() for p in self.parameters.values())

    def points(self) -> Iterator[Point]:
        """All valid points. Only for small spaces."""
        names = list(self.parameters)
        for values in itertools.product(*(self.parameters[n].values() for n in names)):
            point = dict(zip(names, values, strict=True))
            if self.allows(point):
                yield copy.deepcopy(point)

    def pinned(self, values: Point) -> SearchSpace:
        """This space with some keys fixed; seeds that the constraints then reject are dropped."""
        for name, value in values.items():
            if name not in self.parameters:
                raise InvalidPoint([f"cannot pin unknown key {name!r}"])
            if reason := self.parameters[name].check(value):
                raise InvalidPoint([f"{name}: {reason}"])
        parameters = {n: Fixed(values[n]) if n in values else p for n, p in self.parameters.items()}
        seeds = [seed for s in self.seeds if self.allows(seed := {**s, **values})]
        return SearchSpace(parameters, self.constraints, {**self._default, **values}, seeds)

    def seeded(self, points: Sequence[Point]) -> SearchSpace:
        """This space with further starting points, tried before its own seeds."""
        return SearchSpace(self.parameters, self.constraints, self._default, [*points, *self.seeds])

    def fingerprint(self) -> str:
        """A hash of parameters and default; a journal stores it to notice that it belongs to another space."""
        return digest({"parameters": {n: p.to_json() for n, p in self.parameters.items()}, "default": self._default})

    def to_json(self) -> dict[str, Any]:
        """The space as JSON. Raises InvalidParameter if a constraint is a plain callable, which cannot be stored."""
        anonymous = [rule for rule in self.constraints if not hasattr(rule, "to_json")]
        if anonymous:
            raise InvalidParameter(f"constraint {anonymous[0]!r} cannot be stored; use a named one or store without it")
        return {
            "parameters": {name: p.to_json() for name, p in self.parameters.items()},
            "constraints": [rule.to_json() for rule in self.constraints],  # type: ignore[union-attr]
            "default": self._default,
            "seeds": list(self.seeds),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> SearchSpace:
        """Read what :meth:`to_json` wrote."""
        parameters = {name: parameter_from_json(p) for name, p in data["parameters"].items()}
        constraints = [constraint_from_json(c) for c in data.get("constraints", [])]
        return cls(parameters, constraints, data.get("default"), data.get("seeds", ()))
