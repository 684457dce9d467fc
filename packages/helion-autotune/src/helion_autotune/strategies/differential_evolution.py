"""Differential evolution (Storn and Price, 1997) over mixed parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from helion_autotune.points import point_key
from helion_autotune.strategies.base import Strategy

if TYPE_CHECKING:
    from helion_autotune.points import Point
    from helion_autotune.space.search_space import SearchSpace
    from helion_autotune.trial import Trial

_ATTEMPTS = 30
_ENOUGH_TO_BREED = 4


class DifferentialEvolutionSearch(Strategy):
    """A population in which each member is challenged by a mutant of others and replaced if that is faster.

    The initial population is the best ``population`` of twice as many seeds and random points (they count as the
    first two generations, which is why the next one printed is number 2). Each of the remaining generations
    challenges every member once. Members are replaced as soon as a challenger is told, so one slow evaluation does
    not hold up the rest.

    ``crossover_rate`` is the chance of a parameter to come from the mutant ``x1 + F (x2 - x3)`` rather than the
    member.
    """

    name: ClassVar[str] = "DifferentialEvolutionSearch"

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        population: int = 40,
        generations: int = 20,
        crossover_rate: float = 0.8,
    ) -> None:
        super().__init__(space, seed=seed)
        self.population, self.generations, self.crossover_rate = population, generations, crossover_rate
        self._initial_left = 2 * population
        self._seeds = list(space.seeds)
        self._initial: list[Trial] = []
        self._members: list[Trial] = []
        self._challenges: dict[str, int] = {}
        self._asked = self._answered = self._replaced = 0
        self._exhausted = False

    def ask(self, n: int) -> list[Point]:
        points = [p for _ in range(n) if (p := self._initial_point()) is not None]
        self._found_population()
        while len(points) < n and self._members and not self.done:
            target = self._asked % len(self._members)
            child = self._child(target)
            if child is None:
                self._exhausted = True
                break
            self._challenges[point_key(child)] = target
            self._asked += 1
            points.append(child)
        return points

    def _initial_point(self) -> Point | None:
        """The next seed or random point; None once twice the population was proposed."""
        while self._seeds and self._initial_left > 0:
            seed = self._seeds.pop(0)
            if self._claim(seed):
                self._initial_left -= 1
                return seed
        point = self._sample_new() if self._initial_left > 0 else None
        self._initial_left = self._initial_left - 1 if point is not None else 0
        return point

    def tell(self, trial: Trial) -> None:
        super().tell(trial)
        target = self._challenges.pop(trial.key, None)
        if target is None:
            self._initial.append(trial)
            self._found_population()
            return
        self._answered += 1
        if trial.cost < self._members[target].cost:
            self._members[target] = trial
            self._replaced += 1
        if self._answered % len(self._members) == 0:
            self._report(2 + self._answered // len(self._members) - 1)

    def _needed(self) -> int:
        """Trials to wait for before breeding: most of the initial ones, lest a hanging compile hold up everything."""
        return max(1, int(0.9 * min(2 * self.population, len(self._proposed))))

    def _found_population(self) -> None:
        """Begin breeding, if that has not begun and most initial points are answered."""
        if self._members or self._initial_left > 0 or len(self._initial) < self._needed():
            return
        self._members = sorted(self._initial, key=lambda t: t.cost)[: self.population]
        times = [t.cost for t in self._initial if t.ok]
        self._milestone("Initial population", {"failed": len(self._initial) - len(times)}, times)

    def _report(self, generation: int) -> None:
        times = [t.cost for t in self._members if t.ok]
        self._milestone(f"Generation {generation}", {"replaced": self._replaced}, times)
        self._replaced = 0

    def _child(self, target: int) -> Point | None:
        for _ in range(_ATTEMPTS):
            child = self._mutant(target)
            if self.space.allows(child) and self._claim(child):
                return child
        return self._sample_new()

    def _mutant(self, target: int) -> Point:
        member = self._members[target].point
        alive = [t.point for t in self._members if t.ok]
        if len(alive) < _ENOUGH_TO_BREED:
            return next(iter(self._samples(1)), member)
        base, a, b = (alive[int(i)] for i in self.rng.choice(len(alive), 3, replace=False))
        names = list(self.space.parameters)
        forced = names[int(self.rng.integers(len(names)))]
        child = dict(member)
        for name in names:
            if name == forced or self.rng.random() < self.crossover_rate:
                parameter = self.space.parameters[name]
                child[name] = parameter.differential(base[name], a[name], b[name], self.rng)
        return child

    @property
    def done(self) -> bool:
        challenges = (self.generations - 2) * max(1, len(self._members))
        return self._exhausted or (bool(self._members) and self._asked >= challenges)

    def options(self) -> dict[str, object]:
        return {
            "population": self.population,
            "generations": self.generations,
            "crossover_rate": self.crossover_rate,
        }
