"""Whole points by any executor: threads, clean processes, Dask."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from helion_autotune import Best, Budget
from helion_autotune.errors import CandidateTimeout
from helion_autotune.evaluate import ExecutorEvaluator, WorkerPool
from helion_autotune.evaluate.remote import run_anywhere
from helion_autotune.testing import hostile
from helion_autotune.testing.remote import evaluate_point, interleave
from helion_autotune.tuning import tune

FUNCTION = "helion_autotune.testing.remote:evaluate_point"


def test_over_threads() -> None:
    with ThreadPoolExecutor(2) as threads:
        evaluator = ExecutorEvaluator(threads, evaluate_point, {"scale": 2.0}, interleaved=interleave, jobs=2)
        space = hostile.space().pinned({"indexing": "pointer", "stages": 3})
        result = tune(space, evaluator, "finite", write=None)
    works = {t.key: t for t in result.trials if hostile.fate(t.point) not in ("hang", "crash")}
    assert all(t.ok == (hostile.fate(t.point) == "ok") for t in works.values())
    assert result.milliseconds == min(t.cost for t in result.trials)
    assert result.milliseconds == 2.0 * hostile.true_milliseconds(result.point)


@pytest.mark.parametrize("fate", ["hang", "crash", "fault", "wrong"])
def test_isolation_keeps_the_executor_alive(fate) -> None:
    statuses = {"hang": "timeout", "fault": "crash"}
    point = next(p for p in hostile.space().points() if hostile.fate(p) == fate)
    with ThreadPoolExecutor(1) as threads:
        evaluator = ExecutorEvaluator(threads, FUNCTION, {"really": True}, isolate=True, timeout=2.0)
        assert str(evaluator.submit(point, Best()).result().status) == statuses.get(fate, fate)
        good = evaluator.submit(hostile.space().default(), Best()).result()
    assert good.ok
    assert good.facts == {"evaluated": True}


def test_over_our_own_workers() -> None:
    pool = WorkerPool(1)
    try:
        evaluator = ExecutorEvaluator(pool, FUNCTION, None)
        point = next(p for p in hostile.space().points() if hostile.fate(p) == "compile_error")
        trial = evaluator.submit(point, Best()).result()
        assert str(trial.status) == "compile_error"
        assert trial.message == f"error: line {point['block']}: operand does not fit"
        with pytest.raises(NotImplementedError):
            evaluator.measure_interleaved([point])
    finally:
        pool.shutdown(cancel_futures=True)


def test_a_lost_host_costs_its_point() -> None:
    class Flaky(ThreadPoolExecutor):
        def submit(self, fn, /, *args, **kwargs) -> Future:
            future: Future = Future()
            future.set_exception(OSError("the host is gone"))
            return future

    evaluator = ExecutorEvaluator(Flaky(1), FUNCTION)
    trial = evaluator.submit(hostile.space().default(), Best()).result()
    assert (str(trial.status), trial.message) == ("crash", "OSError: the host is gone")


def test_finalists_that_hang_are_given_up() -> None:
    with pytest.raises(CandidateTimeout, match=r"longer than 0\.5 s"):
        run_anywhere("time:sleep", [100], isolate=True, timeout=0.5)


def test_cancelling_drops_what_runs_without_waiting_for_it() -> None:
    started, end = threading.Event(), threading.Event()

    class Slow(ThreadPoolExecutor):
        def submit(self, *args):
            return super().submit(lambda: started.set() or end.wait(30))

    with Slow(1) as executor:
        evaluator = ExecutorEvaluator(executor, FUNCTION)
        futures = [evaluator.submit(hostile.space().default(), Best()) for _ in range(2)]
        started.wait(30)
        evaluator.cancel()
        assert all(future.cancelled() for future in futures)
        end.set()


@pytest.mark.filterwarnings("ignore")
def test_over_a_dask_cluster() -> None:
    pytest.importorskip("distributed", reason="the extra `dask` is not installed")
    from helion_autotune.executors.dask import dask_executor

    with dask_executor(workers=1, processes=False) as executor:
        evaluator = ExecutorEvaluator(executor, FUNCTION, {"scale": 1.0}, interleaved=interleave, jobs=4)
        space = hostile.space().pinned({"indexing": "block_ptr", "stages": 3})
        result = tune(space, evaluator, "random", budget=Budget(configs=12), write=None)
    assert len(result.trials) == 12
    assert result.milliseconds == hostile.true_milliseconds(result.point)
    assert {str(t.status) for t in result.trials} > {"ok"}
