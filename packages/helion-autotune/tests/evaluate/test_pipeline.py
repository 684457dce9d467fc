"""The compile-and-measure pipeline, with thread pools and with worker processes."""

from __future__ import annotations

import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from helion_autotune import Best, Budget, Integer, SearchSpace, Session, Status
from helion_autotune.errors import LaunchError, WrongResult
from helion_autotune.evaluate import Compiled, Measurement, PipelineEvaluator, ProcessMeasurer, WorkerPool
from helion_autotune.evaluate.jobs import resolve
from helion_autotune.strategies.finite import FiniteSearch
from helion_autotune.testing import hostile
from helion_autotune.tuning import tune

SPACE = SearchSpace({"x": Integer(0, 15), "unused": Integer(0, 3)})
COMPILED: list = []


def compile_here(payload) -> dict:
    """Imported by path in this process: the thread pool's compile function."""
    COMPILED.append(payload["x"])
    if payload["x"] == 13:
        raise SyntaxError("13 does not parse")
    return {"binary": str(payload["x"] // 2), "facts": {"registers": payload["x"] * 20}}


@pytest.fixture
def threads():
    COMPILED.clear()
    with ThreadPoolExecutor(2) as pool:
        yield pool


@pytest.fixture
def make(threads, monkeypatch):
    """An evaluator over threads. ``prepare`` leaves ``unused`` out, as code generation does with idle keys."""
    import sys

    monkeypatch.setitem(sys.modules, "pipeline_under_test", sys.modules[__name__])
    made: list[PipelineEvaluator] = []

    def build(measure=lambda compiled, best: float(compiled.point["x"] + 1), **keywords) -> PipelineEvaluator:
        keywords.setdefault("prepare", lambda point: {"x": point["x"]})
        keywords.setdefault("compiler", threads)
        evaluator = PipelineEvaluator(compile="pipeline_under_test:compile_here", measure=measure, **keywords)
        made.append(evaluator)
        return evaluator

    yield build
    for evaluator in made:
        evaluator.close()


def evaluate(evaluator, *xs, unused: int = 0):
    best = Best()
    futures = [evaluator.submit({"x": x, "unused": unused}, best) for x in xs]
    return [f.result(timeout=30) for f in futures]


def test_a_point_becomes_a_trial_with_its_facts(make) -> None:
    (trial,) = evaluate(make(), 4)
    assert (trial.status, trial.milliseconds, trial.facts) == (Status.OK, 5.0, {"registers": 80})
    assert trial.compile_seconds >= 0


def test_the_same_source_is_compiled_once(make) -> None:
    evaluator = make()
    first = evaluate(evaluator, 4)[0]
    second = evaluate(evaluator, 4, unused=1)[0]
    assert COMPILED == [4]
    assert (second.status, second.milliseconds) == (Status.DUPLICATE, 5.0)
    assert second.facts["same_as"] == first.key
    failures = evaluate(evaluator, 13), evaluate(evaluator, 13, unused=1)
    assert [t.status for (t,) in failures] == [Status.COMPILE_ERROR] * 2
    assert COMPILED == [4, 13]


def test_the_same_binary_is_measured_once(make) -> None:
    measured = []

    def measure(compiled: Compiled, best: float) -> float:
        measured.append(compiled.point["x"])
        return 1.0

    evaluator = make(measure)
    trials = evaluate(evaluator, 6) + evaluate(evaluator, 7)
    assert measured == [6]
    assert [t.status for t in trials] == [Status.OK, Status.DUPLICATE]
    assert trials[1].facts == {"registers": 140, "same_as": trials[0].key}


def test_screening_spares_the_measurement(make) -> None:
    measured = []

    def screen(compiled: Compiled) -> str | None:
        return "too many registers" if compiled.facts["registers"] > 100 else None

    evaluator = make(lambda compiled, best: measured.append(compiled.point["x"]) or 1.0, screen=screen)
    trials = evaluate(evaluator, 2, 10)
    assert measured == [2]
    assert (trials[1].status, trials[1].message) == (Status.SCREENED, "too many registers")
    assert trials[1].facts["registers"] == 200


@pytest.mark.parametrize("answer", [None, "fast", math.nan, -1.0, Measurement(1.0, None), SystemExit(3)])  # type: ignore[arg-type]
def test_a_measurement_that_is_none_costs_its_candidate_only(make, answer) -> None:
    def measure(compiled: Compiled, best: float):
        if compiled.point["x"] != 4:
            return 1.0
        if isinstance(answer, BaseException):
            raise answer
        return answer

    bad, good = evaluate(make(measure), 4, 6)
    assert (bad.status, bad.milliseconds) == (Status.CRASH, None)
    assert good.milliseconds == 1.0


@pytest.mark.parametrize("output", [7, [1], {"facts": [1, 2]}, {"facts": None}])
def test_a_compile_function_that_gives_something_else_is_told(make, monkeypatch, output) -> None:
    evaluator = make()
    monkeypatch.setattr("pipeline_under_test.compile_here", lambda payload: output)
    resolve.cache_clear()
    (trial,) = evaluate(evaluator, 4)
    resolve.cache_clear()
    assert trial.status is Status.COMPILE_ERROR
    assert "instead of a mapping" in trial.message


def test_an_executor_that_is_shut_down_fails_candidates_not_the_search(make) -> None:
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    (trial,) = evaluate(make(compiler=pool), 4)
    assert trial.status is Status.COMPILE_ERROR
    assert "shutdown" in trial.message


def test_failures_have_the_right_status(make) -> None:
    def measure(compiled: Compiled, best: float) -> float:
        errors = {0: WrongResult("off by 3"), 2: LaunchError("too big"), 4: ZeroDivisionError("oops")}
        raise errors[compiled.point["x"]]

    def prepare(point):
        if point["x"] == 8:
            raise KeyError("a bug in code generation")
        return {"x": point["x"]}

    trials = evaluate(make(measure, prepare=prepare), 0, 2, 4, 8, 13)
    assert [str(t.status) for t in trials] == ["wrong", "launch_error", "crash", "compile_error", "compile_error"]
    assert trials[2].message == "ZeroDivisionError: oops"
    assert trials[4].message == "SyntaxError: 13 does not parse"


def test_measuring_is_told_the_best_so_far(make) -> None:
    seen = []

    def measure(compiled: Compiled, best: float) -> Measurement:
        seen.append(best)
        slow = compiled.point["x"] > 5
        return Measurement(float(compiled.point["x"] + 1), {"cut": True} if slow else {})

    points = [{"x": x, "unused": 0} for x in (4, 2, 9)]
    evaluator = make(measure, capacity=1)
    result = Session(evaluator, FiniteSearch(SPACE, points=points), finalists=0).run()
    assert seen == [math.inf, 5.0, 3.0]
    assert [t.facts.get("cut") for t in result.trials] == [None, None, True]


def test_measurements_never_overlap(make) -> None:
    inside, overlaps = threading.Lock(), []

    def measure(compiled: Compiled, best: float) -> float:
        if not inside.acquire(blocking=False):
            overlaps.append(compiled.point)
            return 1.0
        time.sleep(0.002)
        inside.release()
        return 1.0

    evaluate(make(measure), *range(0, 16, 2))
    assert overlaps == []


def test_compiling_goes_on_while_something_is_measured(make) -> None:
    measuring, release = threading.Event(), threading.Event()

    def measure(compiled: Compiled, best: float) -> float:
        measuring.set()
        assert release.wait(30)
        return 1.0

    evaluator = make(measure)
    first = evaluator.submit({"x": 0, "unused": 0}, Best())
    assert measuring.wait(30)
    others = [evaluator.submit({"x": x, "unused": 0}, Best()) for x in (2, 4, 6)]
    deadline = time.monotonic() + 30
    while len(COMPILED) < 4 and time.monotonic() < deadline:
        time.sleep(0.005)
    assert sorted(COMPILED) == [0, 2, 4, 6]
    assert not first.done()
    release.set()
    assert all(f.result(timeout=30).ok for f in (first, *others))


def test_cancelling_drops_what_waits(make) -> None:
    measuring, release = threading.Event(), threading.Event()
    measured = []

    def measure(compiled: Compiled, best: float) -> float:
        measured.append(compiled.point["x"])
        measuring.set()
        assert release.wait(30)
        return 1.0

    evaluator = make(measure)
    futures = [evaluator.submit({"x": 0, "unused": 0}, Best())]
    assert measuring.wait(30)
    futures += [evaluator.submit({"x": x, "unused": 0}, Best()) for x in (2, 4)]
    threading.Timer(0.05, release.set).start()
    evaluator.cancel()
    assert all(f.cancelled() for f in futures)
    assert measured == [0]
    assert evaluate(evaluator, 2)[0].ok, "a dropped candidate can be evaluated later"


def test_finalists_are_measured_together(make) -> None:
    def interleave(compileds):
        return [None if c.point["x"] == 4 else c.output["facts"]["registers"] / 10 for c in compileds]

    evaluator = make(interleave=interleave)
    evaluate(evaluator, 2)
    points = [{"x": x, "unused": 0} for x in (2, 4, 13, 6)]
    assert evaluator.measure_interleaved(points) == [4.0, None, None, 12.0]
    assert sorted(COMPILED) == [2, 4, 6, 13], "what was compiled is not compiled again, what was not is"
    with pytest.raises(NotImplementedError):
        make().measure_interleaved(points)


@pytest.fixture
def hostile_evaluator():
    pool = WorkerPool(2, timeout=1.5)
    measurer = ProcessMeasurer(
        hostile.measure_point, interleave=hostile.interleave_points, request=lambda c: c.point, timeout=60
    )
    evaluator = PipelineEvaluator(
        prepare=lambda point: {"point": point},
        compiler=pool,
        compile=hostile.compile_point,
        measure=measurer,
        interleave=measurer.interleave,
    )
    yield evaluator
    evaluator.close()
    measurer.close()
    pool.shutdown(cancel_futures=True)


def test_survives_everything_that_candidates_do(hostile_evaluator) -> None:
    """Some do not compile, hang in the compiler, crash it, are wrong, fault, or do not launch."""
    points = hostile.assortment()
    lines: list[str] = []
    result = tune(hostile.space(), hostile_evaluator, "finite", options={"points": points}, write=lines.append)
    assert result.point == hostile.best_point()
    statuses = {"hang": "timeout", "fault": "crash", "launch": "launch_error"}
    for trial in result.trials:
        fate = hostile.fate(trial.point)
        assert str(trial.status) == statuses.get(fate, fate), trial
    text = "\n".join(lines)
    assert f"{result.statistics.failed} of {len(points)} configs failed:" in text
    assert "compile_error: error: line" in text


def test_a_search_through_it_finds_the_best(hostile_evaluator) -> None:
    strategy_options = {"patience": 60}
    result = tune(
        hostile.space().pinned({"indexing": "pointer"}),
        hostile_evaluator,
        "guided",
        options=strategy_options,
        budget=Budget(configs=120),
        write=None,
    )
    works = [p for p in hostile.space().points() if hostile.fate(p) == "ok" and p["indexing"] == "pointer"]
    assert result.point == min(works, key=hostile.true_milliseconds)


def test_what_compiles_far_longer_than_the_others_is_given_up(monkeypatch) -> None:
    """The end of a search need not wait for it; a search has no reason to pay a minute for one candidate."""
    monkeypatch.setattr("helion_autotune.evaluate.pipeline._LEAST_SECONDS", 1.0)
    monkeypatch.syspath_prepend(str(Path(__file__).parent))  # also where processes of the pool import from
    pool = WorkerPool(2, timeout=120)
    evaluator = PipelineEvaluator(
        prepare=lambda point: {"seconds": point["x"] / 10},
        compiler=pool,
        compile="pool_jobs:compile_for",
        measure=lambda compiled, best: 1.0,
    )
    try:
        quick = evaluate(evaluator, 0, 1)
        assert [t.status for t in quick] == [Status.OK, Status.OK]
        begin = time.monotonic()
        slow, steady = evaluate(evaluator, 300, 5)
        assert (slow.status, steady.status) == (Status.TIMEOUT, Status.OK)
        assert time.monotonic() - begin < 20
        assert pool.timeout == 120, "others that use the pool keep their time"
    finally:
        evaluator.close()
        pool.shutdown(cancel_futures=True)
