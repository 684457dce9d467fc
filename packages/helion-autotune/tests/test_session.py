from __future__ import annotations

import itertools
import math
import threading
import time
from concurrent.futures import Future

import numpy as np
import pytest

from helion_autotune import Budget, Enum, InlineEvaluator, Integer, Journal, SearchSpace, Session, Trial, effort, tune
from helion_autotune.errors import (
    DeviceFault,
    InvalidBudget,
    InvalidPoint,
    StrategyStalled,
    UnknownName,
    WrongResult,
)
from helion_autotune.observer import Observer
from helion_autotune.strategies.base import Strategy
from helion_autotune.strategies.finite import FiniteSearch
from helion_autotune.strategies.guided import GuidedSearch
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


@pytest.mark.parametrize("budget", [Budget(seconds=0.0), Budget(configs=0)])
def test_a_list_with_a_budget_of_nothing_ends_at_once(run, budget) -> None:
    result = run(FiniteSearch(SPACE), cost, budget=budget)
    assert (result.point, result.milliseconds, result.trials) == (SPACE.default(), None, [])


@pytest.mark.parametrize("limits", [{"seconds": math.nan}, {"seconds": -1.0}, {"configs": -1}, {"seconds": "30"}])
def test_a_budget_that_nothing_can_be_held_to_is_refused(limits) -> None:
    with pytest.raises(InvalidBudget, match=next(iter(limits))):
        Budget(**limits)


def test_numbers_of_numpy_are_limits() -> None:
    budget = Budget(seconds=np.float32(2.0), configs=np.int64(3))
    assert (budget.exhausted_by(1.0, 2), budget.exhausted_by(1.0, 3), budget.exhausted_by(2.0, 2)) == (
        None, "configs", "seconds",
    )  # fmt: skip


@pytest.mark.parametrize(
    "answer", [math.nan, math.inf, -1.0, None, "fast", Trial({"x": 3}), Trial({"x": 4}, "ok", 0.1)]
)
@pytest.mark.parametrize("strategy", [RandomSearch, GuidedSearch])
def test_what_is_no_time_costs_its_point_only(run, tmp_path, answer, strategy) -> None:
    def function(point):
        return answer if point["x"] in (3, 20, 50) else cost(point)

    journal = Journal(tmp_path / "run.jsonl", {})
    result = run(strategy(SPACE), function, budget=Budget(configs=90), observers=[journal])
    assert result.milliseconds == 2.0
    assert result.statistics.by_status["crash"] >= 1


def test_no_time_at_all_is_a_time(run) -> None:
    result = run(GuidedSearch(SPACE), lambda p: cost(p) - 1.0, budget=Budget(configs=90))
    assert (result.point, result.milliseconds) == ({"x": 20}, 0.0)


def test_an_evaluator_that_cannot_take_a_point_loses_that_point(run) -> None:
    class Full(InlineEvaluator):
        def submit(self, point, best):
            if point["x"] % 2:
                raise RuntimeError("cannot schedule new futures after shutdown")
            return super().submit(point, best)

    result = Session(Full(cost), FiniteSearch(SPACE), finalists=0).run()
    assert result.point == {"x": 20}
    assert result.statistics.failures[0].example == "RuntimeError: cannot schedule new futures after shutdown"


@pytest.mark.parametrize("event", ["started", "submitted", "finished", "ended", "close"])
def test_an_observer_that_raises_costs_the_run_nothing_but_itself(run, recorder, event) -> None:
    class Careless(Observer):
        calls = 0

        def close(self) -> None:
            self.calls += 1

    def fail(*details) -> None:
        observer.calls += 1
        raise OSError("No space left on device")

    observer = Careless()
    setattr(observer, event, fail)
    with pytest.warns(UserWarning, match="Careless: OSError: No space left on device; the run goes on") as caught:
        result = run(FiniteSearch(SPACE), cost, observers=[observer, recorder])
    assert result.point == {"x": 20}
    assert len(caught) == 1
    assert observer.calls == (1 if event == "close" else 2), "told once, closed once"
    assert len(recorder.of("finished")) == 100
    assert len(recorder.of("close")) == 1


@pytest.mark.parametrize("times", [DeviceFault("an illegal memory access"), [1.0], "x"])
def test_a_play_off_that_fails_loses_nothing(recorder, times) -> None:
    def interleaved(points):
        if isinstance(times, Exception):
            raise times
        return times

    result = Session(InlineEvaluator(cost, interleaved), FiniteSearch(SPACE), observers=[recorder]).run()
    assert (result.point, result.milliseconds) == ({"x": 20}, 1.0)
    assert "not measured against each other" in recorder.of("warning")[0][0]


def test_finalists_without_a_time_do_not_win(recorder) -> None:
    evaluator = InlineEvaluator(cost, lambda points: [math.nan, 3.0, -1.0, math.inf, None])
    result = Session(evaluator, FiniteSearch(SPACE), observers=[recorder]).run()
    assert result.milliseconds == 3.0
    assert [ms for _, ms in result.play_off] == [None, 3.0, None, None, None]


def test_waiting_for_the_default_past_the_budget_burns_no_processor() -> None:
    class Slow(InlineEvaluator):
        def submit(self, point, best):
            future: Future = Future()
            threading.Timer(1.0, lambda: future.set_result(Trial(point, milliseconds=1.0))).start()
            return future

    start = time.process_time()
    result = Session(Slow(cost), RandomSearch(SPACE), budget=effort("none"), finalists=0).run()
    assert result.milliseconds == 1.0
    assert time.process_time() - start < 0.5


def test_a_strategy_made_for_another_space_is_refused() -> None:
    other = RandomSearch(SearchSpace({"y": Integer(0, 3)}))
    with pytest.raises(ValueError, match="another space"):
        tune(SPACE, InlineEvaluator(cost), other)
    with pytest.raises(ValueError, match="made already"):
        tune(SPACE, InlineEvaluator(cost), RandomSearch(SPACE), options={"count": 3})
