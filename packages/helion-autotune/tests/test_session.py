from __future__ import annotations

import itertools
import math
from concurrent.futures import Future

import pytest

from helion_autotune import Budget, Enum, InlineEvaluator, Integer, SearchSpace, Session, Trial, effort
from helion_autotune.errors import InvalidPoint, StrategyStalled, UnknownName, WrongResult
from helion_autotune.strategies.base import Strategy
from helion_autotune.strategies.finite import FiniteSearch
from helion_autotune.strategies.random_search import RandomSearch

SPACE = SearchSpace({"x": Integer(0, 99, 50)})


class Scripted(Strategy):
    """Asks for given points, in given batches."""

    name = "Scripted"

    def __init__(self, space: SearchSpace, batches) -> None:
        super().__init__(space)
        self.batches = [list(batch) for batch in batches]
        self.told: list[Trial] = []

    def ask(self, n):
        return [{"x": x} for x in self.batches.pop(0)] if self.batches else []

    def tell(self, trial) -> None:
        super().tell(trial)
        self.told.append(trial)

    @property
    def done(self) -> bool:
        return not self.batches


def cost(point) -> float:
    return 1.0 + abs(point["x"] - 20)


def test_finds_the_fastest_and_keeps_every_trial(run) -> None:
    result = run(FiniteSearch(SPACE), cost)
    assert result.point == {"x": 20}
    assert result.milliseconds == 1.0
    assert result.stopped == "done"
    assert len(result.trials) == result.statistics.configs == 100


def test_the_default_comes_first_and_the_best_never_gets_worse(run, recorder) -> None:
    run(RandomSearch(SPACE, count=30), cost, observers=[recorder])
    finished = recorder.of("finished")
    assert finished[0][0].point == SPACE.default()
    best = [event[1].cost for event in finished]
    assert best == sorted(best, reverse=True)


def test_a_given_list_is_all_that_is_tried(run) -> None:
    result = run(FiniteSearch(SPACE, points=[{"x": 3}, {"x": 1}, {"x": 3}]), cost)
    assert [t.point["x"] for t in result.trials] == [3, 1]
    assert result.point == {"x": 3}


def test_the_budget_of_configs_counts_the_default(run) -> None:
    assert len(run(RandomSearch(SPACE), cost, budget=Budget(configs=7)).trials) == 7
    result = run(RandomSearch(SPACE), cost, budget=effort("none"))
    assert [t.point for t in result.trials] == [SPACE.default()]
    assert result.stopped == "seconds"


def test_the_budget_of_seconds_ends_the_search(run) -> None:
    ticks = itertools.count()
    result = run(RandomSearch(SPACE), cost, budget=Budget(seconds=40), clock=lambda: float(next(ticks)))
    assert result.stopped == "seconds"
    assert 1 <= len(result.trials) < 30
    assert result.milliseconds == min(t.cost for t in result.trials)


def test_efforts_by_name() -> None:
    assert effort("quick").seconds < effort("full").seconds
    with pytest.raises(UnknownName, match="none, quick, full"):
        effort("heroic")


def test_seconds_spent_before_a_resume_count(run) -> None:
    result = run(RandomSearch(SPACE), cost, budget=Budget(seconds=100), seconds_spent=100)
    assert len(result.trials) == 1


def test_failures_cost_themselves_only(run) -> None:
    def picky(point) -> float:
        if point["x"] == 20:
            raise WrongResult("differs at 3 by 7")
        if point["x"] % 2:
            raise ZeroDivisionError(f"no {point['x']}")
        return cost(point)

    result = run(FiniteSearch(SPACE), picky)
    assert result.point["x"] in (18, 22)
    assert result.statistics.by_status == {"crash": 50, "ok": 49, "wrong": 1}
    assert [(g.status, g.count) for g in result.statistics.failures] == [("crash", 50), ("wrong", 1)]
    assert result.statistics.failures[0].example == "ZeroDivisionError: no 1"


def test_nothing_works_gives_the_default_and_says_so(run, recorder) -> None:
    def fail(point) -> float:
        raise WrongResult("no")

    result = run(RandomSearch(SPACE, count=3), fail, observers=[recorder])
    assert (result.point, result.milliseconds) == (SPACE.default(), None)
    assert "the default config failed (wrong): no" in recorder.of("warning")[0][0]


def test_repeated_points_are_answered_from_memory(run) -> None:
    calls = []
    strategy = Scripted(SPACE, [[1, 2], [2, 50], [1]])
    run(strategy, lambda p: calls.append(p["x"]) or cost(p))
    assert calls == [50, 1, 2]
    assert [t.point["x"] for t in strategy.told] == [50, 1, 2, 2, 50, 1]


def test_a_strategy_that_only_repeats_itself_ends(run) -> None:
    result = run(Scripted(SPACE, [[1]] * 2000), cost)
    assert result.stopped == "done"


def test_known_trials_are_not_evaluated_again(run) -> None:
    calls = []
    known = [Trial({"x": x}, milliseconds=0.5 if x == 7 else cost({"x": x})) for x in (7, 8, 50)]
    result = run(FiniteSearch(SPACE), lambda p: calls.append(p["x"]) or cost(p), known=known)
    assert not {7, 8, 50} & set(calls)
    assert result.point == {"x": 7}
    assert result.statistics.resumed == 3


def test_a_stalled_strategy_is_an_error(run) -> None:
    with pytest.raises(StrategyStalled, match="Scripted"):
        run(Scripted(SPACE, [[], [1]]), cost)


def test_an_invalid_proposal_is_an_error(run) -> None:
    with pytest.raises(InvalidPoint):
        run(Scripted(SPACE, [[100]]), cost)


def test_ctrl_c_keeps_the_best_and_skips_the_play_off(run, recorder) -> None:
    def interrupted(point) -> float:
        if point["x"] == 30:
            raise KeyboardInterrupt
        return cost(point)

    result = run(Scripted(SPACE, [[40, 10, 30, 20]]), interrupted, observers=[recorder], finalists=3)
    assert result.stopped == "interrupted"
    assert result.point in ({"x": 40}, {"x": 10})
    assert result.play_off == ()
    assert len(recorder.of("close")) == 1


def test_ctrl_c_before_any_result_is_raised(run, recorder) -> None:
    def interrupted(point) -> float:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(RandomSearch(SPACE), interrupted, observers=[recorder])
    assert len(recorder.of("close")) == 1, "observers are closed whatever happens"


def test_the_play_off_decides(run) -> None:
    seen = []

    def interleaved(points):
        seen.extend(p["x"] for p in points)
        return [3.0, None, 2.5]

    evaluator = InlineEvaluator(cost, interleaved)
    result = Session(evaluator, FiniteSearch(SPACE, points=[{"x": x} for x in (20, 24, 22, 60)]), finalists=3).run()
    assert seen == [20, 22, 24]
    assert (result.point, result.milliseconds) == ({"x": 24}, 2.5)
    assert [ms for _, ms in result.play_off] == [3.0, None, 2.5]


def test_duplicates_do_not_crowd_the_play_off() -> None:
    def same(point) -> Trial:
        facts = {"same_as": "k"} if point["x"] == 21 else {}
        return Trial(point, "duplicate" if facts else "ok", 1.0 if point["x"] in (20, 21) else 5.0, facts=facts)

    strategy = FiniteSearch(SPACE, points=[{"x": x} for x in (20, 21, 22)])
    Session(InlineEvaluator(same), strategy, finalists=0).run()
    assert strategy.finalists(2) == [{"x": 20}, {"x": 22}]


class Delayed:
    """An evaluator that settles futures only when told, newest first."""

    capacity = 3

    def __init__(self) -> None:
        self.open: list[tuple[dict, Future]] = []
        self.order: list[int] = []

    def submit(self, point, best) -> Future:
        future: Future = Future()
        self.open.append((point, future))
        if len(self.open) == self.capacity:
            self.settle_all()
        return future

    def settle_all(self) -> None:
        for point, future in reversed(self.open):
            self.order.append(point["x"])
            if point["x"] == 13:
                future.set_exception(OSError("lost a host"))
            else:
                future.set_result(Trial(point, milliseconds=cost(point)))
        self.open.clear()

    def measure_interleaved(self, points):
        raise NotImplementedError

    def cancel(self) -> None:
        self.open.clear()

    def close(self) -> None:
        pass


def test_others_that_end_before_the_default_wait_for_it(recorder) -> None:
    evaluator = Delayed()
    result = Session(evaluator, Scripted(SPACE, [[20, 13], [1, 2, 3]]), observers=[recorder]).run()
    assert evaluator.order[-4:] != [] and evaluator.order[0] != 50
    assert recorder.of("finished")[0][0].point == {"x": 50}
    assert result.point == {"x": 20}
    assert result.play_off == (), "an evaluator without a play-off is fine"
    assert result.statistics.by_status["crash"] == 1
    assert "lost a host" in result.statistics.failures[0].example


def test_evaluators_see_the_best_so_far() -> None:
    seen = []

    class Watching(InlineEvaluator):
        def submit(self, point, best) -> Future:
            seen.append(best.milliseconds)
            return super().submit(point, best)

    Session(Watching(cost), Scripted(SPACE, [[40], [90], [20], [30]])).run()
    assert seen == [math.inf, 31.0, 21.0, 21.0, 1.0]


def test_points_may_hold_any_json() -> None:
    space = SearchSpace({"x": Enum([None, [1, 2], "a", {"k": 1}])})
    result = Session(InlineEvaluator(lambda p: 1.0 if p["x"] == {"k": 1} else 2.0), FiniteSearch(space)).run()
    assert result.point == {"x": {"k": 1}}
