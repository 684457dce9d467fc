"""A conformance suite for strategies. Subclass it in a test file:

>>> class TestMine(StrategyConformance):
...     def make(self, space, seed):
...         return MySearch(space, seed=seed)
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

from helion_autotune.budget import Budget
from helion_autotune.errors import CompileError
from helion_autotune.evaluate.inline import InlineEvaluator
from helion_autotune.points import point_key
from helion_autotune.result import Result
from helion_autotune.session import Session
from helion_autotune.space import (
    Boolean,
    Enum,
    Fixed,
    Integer,
    ListOf,
    OrNone,
    Permutation,
    PowerOfTwo,
    ProductAtMost,
    SearchSpace,
)
from helion_autotune.trial import Trial, failed_trial

if TYPE_CHECKING:
    from collections.abc import Callable

    from helion_autotune.points import Point
    from helion_autotune.strategies.base import Strategy

BUDGET = 60


def mixed_space() -> SearchSpace:
    """A space with every kind of parameter, a constraint and two seeds."""
    return SearchSpace(
        {
            "blocks": ListOf([PowerOfTwo(16, 256, 32), PowerOfTwo(16, 256, 32)]),
            "order": ListOf([Permutation(3)]),
            "loops": ListOf([OrNone(PowerOfTwo(16, 1024))]),
            "indexing": ListOf.repeat(Enum(["pointer", "block_ptr", "tensor_descriptor"]), 3),
            "flatten": Boolean(),
            "registers": Enum([None, 64, 128, 255], ordered=True),
            "warps": PowerOfTwo(1, 32, 4),
            "pinned": Fixed("yes"),
        },
        [ProductAtMost(("blocks",), 128 * 128)],
        seeds=[{"warps": 8}, {"blocks": [64, 64]}],
    )


def objective(point: Point) -> float:
    """A smooth objective with one failing region; the optimum is 1.0."""
    if point["warps"] == 32:
        raise CompileError("too many warps")
    log = sum(abs(math.log2(b) - 6) for b in point["blocks"]) + abs(math.log2(point["warps"]) - 3)
    log += (point["loops"] != [None]) + len(set(point["indexing"])) - 1 + (point["registers"] is not None)
    return math.exp(0.2 * log)


class StrategyConformance:
    """What every strategy must do. ``make`` builds one; a strategy that reproduces nothing overrides ``reproduces``."""

    reproduces = True

    def make(self, space: SearchSpace, seed: int) -> Strategy:
        """The strategy under test, with options small enough for a budget of 60 points."""
        raise NotImplementedError

    def search(self, function: Callable[[Point], float] = objective, seed: int = 0, configs: int = BUDGET) -> Result:
        """A run of the strategy on the mixed space."""
        strategy = self.make(mixed_space(), seed)
        return Session(InlineEvaluator(function), strategy, budget=Budget(configs=configs), finalists=0).run()

    def test_proposes_valid_points_that_are_json(self) -> None:
        space = mixed_space()
        for trial in self.search().trials:
            assert space.check(trial.point) == []
            assert json.loads(json.dumps(trial.point)) == trial.point

    def test_does_not_repeat_itself(self) -> None:
        strategy = self.make(mixed_space(), 0)
        keys = [point_key(point) for point in _drive(strategy, BUDGET)]
        assert len(keys) == len(set(keys))

    def test_the_same_seed_proposes_the_same(self) -> None:
        if not self.reproduces:
            return
        first, second = ([t.key for t in self.search(seed=3).trials] for _ in range(2))
        assert first == second

    def test_asks_for_no_more_than_allowed(self) -> None:
        strategy = self.make(mixed_space(), 0)
        strategy.tell(_evaluate(strategy.space.default()))
        for n in (1, 2, 7):
            points = strategy.ask(n)
            assert len(points) <= n
            for point in points:
                strategy.tell(_evaluate(point))

    def test_knows_the_best_that_it_was_told(self) -> None:
        result = self.search()
        costs = [t.cost for t in result.trials]
        assert result.milliseconds == min(costs)

    def test_survives_results_in_any_order(self) -> None:
        strategy = self.make(mixed_space(), 0)
        outstanding: list[Point] = []
        told = 0
        while told < BUDGET and (not strategy.done or outstanding):
            outstanding += strategy.ask(8 - len(outstanding)) if not strategy.done else []
            assert outstanding, "proposes nothing although it is not done and nothing is outstanding"
            strategy.tell(_evaluate(outstanding.pop()))
            told += 1
        assert told

    def test_survives_failures_only(self) -> None:
        def fail(point: Point) -> float:
            raise CompileError("no")

        result = self.search(fail)
        assert result.milliseconds is None
        assert result.statistics.failed == len(result.trials)

    def test_takes_duplicates_and_unasked_trials(self) -> None:
        strategy = self.make(mixed_space(), 0)
        for warps in (1, 2, 16):
            strategy.tell(_evaluate({**strategy.space.default(), "warps": warps}))
        _drive(strategy, 20)
        assert strategy.best is not None

    def test_finalists_are_the_best_told(self) -> None:
        strategy = self.make(mixed_space(), 0)
        _drive(strategy, 30)
        finalists = strategy.finalists(3)
        assert len(finalists) == 3
        assert [objective(p) for p in finalists] == sorted(t.cost for t in strategy.trials.values())[:3]

    def test_ends_in_a_space_of_three_points(self) -> None:
        space = SearchSpace({"warps": PowerOfTwo(1, 4)})
        strategy = self.make(space, 0)
        evaluator = InlineEvaluator(lambda point: float(point["warps"]))
        result = Session(evaluator, strategy, budget=Budget(configs=100), finalists=0).run()
        assert result.stopped == "done"
        assert result.point == {"warps": 1}

    def test_ends_where_there_is_next_to_nothing_to_draw(self) -> None:
        space = SearchSpace({f"x{i}": Integer(0, 9) for i in range(6)}, [lambda point: sum(point.values()) <= 1])
        evaluator = InlineEvaluator(lambda point: 2.0 - sum(point.values()))
        result = Session(evaluator, self.make(space, 0), budget=Budget(configs=10), finalists=0).run()
        assert result.stopped in ("done", "configs")

    def test_says_what_it_is(self) -> None:
        strategy = self.make(mixed_space(), 0)
        assert strategy.describe().startswith(strategy.name)


def _evaluate(point: Point) -> Trial:
    try:
        return Trial(point, milliseconds=objective(point))
    except CompileError as error:
        return failed_trial(point, error)


def _drive(strategy: Strategy, count: int) -> list[Point]:
    """Ask and tell one by one; gives what was proposed."""
    proposed: list[Point] = []
    while len(proposed) < count and not strategy.done:
        points = strategy.ask(1)
        assert points, "proposes nothing although nothing is outstanding"
        for point in points:
            proposed.append(point)
            strategy.tell(_evaluate(point))
    return proposed
