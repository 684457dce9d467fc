"""Worker processes: clean, warm, and not to be brought down by their jobs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import CancelledError, wait
from pathlib import Path

import pytest

from helion_autotune.errors import CandidateTimeout, DeviceFault, JobFailed, LaunchError, NotImportable, WorkerCrashed
from helion_autotune.evaluate.jobs import import_path
from helion_autotune.evaluate.pool import WorkerPool
from helion_autotune.evaluate.process import WorkerProcess

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def _jobs_are_importable(monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(HERE))


@pytest.fixture
def make_pool():
    pools: list[WorkerPool] = []

    def make(*args, **keywords) -> WorkerPool:
        pools.append(WorkerPool(*args, **keywords))
        return pools[-1]

    yield make
    for pool in pools:
        pool.shutdown(cancel_futures=True)


def gone(pid: int) -> bool:
    """Whether a process has ended (or is a zombie that nobody has reaped)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state in "ZX"


def wait_until(condition, seconds: float = 30.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_runs_functions_by_path_and_by_reference(make_pool) -> None:
    pool = make_pool(1)
    assert pool.submit("pool_jobs:echo", 1, [2, None], {"k": "ü"}).result() == [1, [2, None], {"k": "ü"}]
    assert pool.submit(os.path.join, "a", "b").result() == "a/b"
    assert list(pool.map(os.path.basename, ["a/b", "c/d"])) == ["b", "d"]


def test_workers_are_clean_and_warm(make_pool) -> None:
    pool = make_pool(1)
    first, second = pool.submit("pool_jobs:who").result(), pool.submit("pool_jobs:who").result()
    assert first["pid"] == second["pid"] != os.getpid()
    assert first["main"] is None
    assert "pytest" not in first["modules"]
    assert "numpy" not in first["modules"]


def test_what_jobs_print_does_not_disturb(make_pool, capfd) -> None:
    pool = make_pool(1)
    assert pool.submit("pool_jobs:noisy").result() == ""
    assert pool.submit("pool_jobs:echo", 1).result() == [1]
    assert capfd.readouterr() == ("", "")


def test_errors_come_back_as_what_they_are(make_pool) -> None:
    pool = make_pool(1)
    pid = pool.submit("pool_jobs:who").result()["pid"]
    with pytest.raises(LaunchError, match="out of resource"):
        pool.submit("pool_jobs:cannot_launch").result()
    with pytest.raises(JobFailed, match="ValueError: some text"):
        pool.submit("pool_jobs:raises").result()
    with pytest.raises(JobFailed, match="not JSON"):
        pool.submit("pool_jobs:gives_no_json").result()
    with pytest.raises(JobFailed, match="SystemExit: 3"):
        pool.submit("pool_jobs:asks_to_exit").result()
    with pytest.raises(JobFailed, match="ModuleNotFoundError"):
        pool.submit("no_such_module:f").result()
    with pytest.raises(TypeError, match="JSON"):
        pool.submit("pool_jobs:echo", object()).result()
    assert pool.submit("pool_jobs:who").result()["pid"] == pid, "none of these costs the process"


def test_a_crash_costs_its_job_only(make_pool) -> None:
    pool = make_pool(1)
    futures = [pool.submit("pool_jobs:dies", "my last words"), pool.submit("pool_jobs:echo", 1)]
    with pytest.raises(WorkerCrashed, match=r"SIGABRT.*\n.*my last words"):
        futures[0].result()
    assert futures[1].result() == [1]
    with pytest.raises(WorkerCrashed, match="exit status 7"):
        pool.submit("pool_jobs:exits").result()


def test_a_hang_is_killed_with_all_its_children(make_pool, tmp_path) -> None:
    pool = make_pool(1, timeout=1.5)
    note = tmp_path / "pids"
    with pytest.raises(CandidateTimeout, match=r"longer than 1\.5 s"):
        pool.submit("pool_jobs:hangs_with_a_child", str(note)).result()
    pids = [int(pid) for pid in note.read_text().split()]
    assert len(pids) == 2
    assert wait_until(lambda: all(gone(pid) for pid in pids))
    assert pool.submit("pool_jobs:echo", 1).result() == [1]


def test_a_device_fault_replaces_the_process(make_pool) -> None:
    pool = make_pool(1)
    pid = pool.submit("pool_jobs:who").result()["pid"]
    with pytest.raises(DeviceFault, match="sticky"):
        pool.submit("pool_jobs:faults").result()
    assert pool.submit("pool_jobs:who").result()["pid"] != pid


def test_setup_runs_once_in_every_process(make_pool) -> None:
    pool = make_pool(1, setup=("pool_jobs:set_state", ["ready"]))
    for _ in range(2):
        assert pool.submit("pool_jobs:get_state").result() == ["ready"]
        with pytest.raises(WorkerCrashed):
            pool.submit("pool_jobs:exits").result()


def test_a_setup_that_fails_fails_the_jobs_with_its_reason(make_pool) -> None:
    pool = make_pool(1, setup=("pool_jobs:broken_setup", []))
    for _ in range(2):
        with pytest.raises(JobFailed, match="RuntimeError: no such device"):
            pool.submit("pool_jobs:echo", 1).result()
    with pytest.raises(WorkerCrashed, match="SIGABRT"):
        make_pool(1, setup=("pool_jobs:setup_that_dies", [])).submit("pool_jobs:echo", 1).result()


@pytest.mark.parametrize(
    ("job", "arguments", "error"),
    [("faults", [], DeviceFault), ("cannot_launch", [], LaunchError), ("echo", [{1}], TypeError)],
)
def test_whatever_a_setup_raises_no_job_waits_for_ever(make_pool, job, arguments, error) -> None:
    pool = make_pool(1, setup=(f"pool_jobs:{job}", arguments))
    for _ in range(2):
        with pytest.raises(error):
            pool.submit("pool_jobs:echo", 1).result(timeout=60)


def test_a_forked_process_is_told_that_the_pool_is_not_its_own(make_pool) -> None:
    pool = make_pool(1)
    assert pool.submit("pool_jobs:echo", 1).result() == [1]
    child = os.fork()
    if child == 0:
        status = 1
        try:
            pool.submit("pool_jobs:echo", 1)
        except RuntimeError as error:
            status = 0 if "forked" in str(error) else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert pool.submit("pool_jobs:echo", 2).result() == [2]


def test_jobs_run_side_by_side(make_pool, tmp_path) -> None:
    pool = make_pool(2, timeout=None)
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    futures = [pool.submit("pool_jobs:meets", a, b), pool.submit("pool_jobs:meets", b, a)]
    assert [f.result() for f in futures] == [True, True], "each waits for the other"


def test_cancelling_leaves_a_usable_pool(make_pool, tmp_path) -> None:
    pool = make_pool(1, timeout=None)
    running = pool.submit("pool_jobs:hangs_with_a_child", str(tmp_path / "pids"))
    queued = pool.submit("pool_jobs:echo", 1)
    assert wait_until((tmp_path / "pids").exists)
    pool.cancel_all()
    with pytest.raises(WorkerCrashed):
        running.result(timeout=30)
    with pytest.raises(CancelledError):
        queued.result(timeout=30)
    assert pool.submit("pool_jobs:echo", 2).result() == [2]


def test_cancelling_some_leaves_the_others_alone(make_pool, tmp_path) -> None:
    pool = make_pool(2, timeout=None)
    mine = pool.submit("pool_jobs:hangs_with_a_child", str(tmp_path / "pids"))
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    others = pool.submit("pool_jobs:meets", a, b)
    assert wait_until(lambda: (tmp_path / "pids").exists() and (tmp_path / "a").exists())
    pool.cancel([mine])
    with pytest.raises(WorkerCrashed):
        mine.result(timeout=30)
    (tmp_path / "b").touch()
    assert others.result(timeout=60) is True


def test_a_job_cancelled_just_after_its_answer_takes_no_later_job_along(make_pool, monkeypatch) -> None:
    answer = WorkerProcess.call

    def call_and_be_cancelled(process, function, arguments, seconds):
        result = answer(process, function, arguments, seconds)
        if arguments == ("late",):
            pool.cancel([late])
        return result

    monkeypatch.setattr(WorkerProcess, "call", call_and_be_cancelled)
    pool = make_pool(1)
    late = pool.submit("pool_jobs:echo", "late")
    assert late.result(timeout=30) == ["late"]
    assert pool.submit("pool_jobs:echo", "next").result(timeout=30) == ["next"]


def test_shutdown_finishes_what_is_queued(make_pool) -> None:
    pool = make_pool(1)
    futures = [pool.submit("pool_jobs:echo", i) for i in range(3)]
    pool.shutdown()
    done, _ = wait(futures, timeout=0)
    assert [f.result() for f in futures] == [[0], [1], [2]]
    assert len(done) == 3
    with pytest.raises(RuntimeError, match="shut down"):
        pool.submit("pool_jobs:echo", 1)


def test_env_is_added(make_pool) -> None:
    assert make_pool(1, env={"SOME_FLAG": "on"}).submit("pool_jobs:environment", "SOME_FLAG").result() == "on"


def test_what_cannot_be_imported_is_refused() -> None:
    def nested() -> None:
        pass

    for function in (nested, lambda: 1, "no colon", "two:colons:here"):
        with pytest.raises(NotImportable):
            import_path(function)
    assert import_path(os.path.join) == "posixpath:join"
    with pytest.raises(TypeError, match="positional"):
        WorkerPool(1).submit(os.getpid, key=1)


PARENT = """
import sys, time
sys.path.insert(0, sys.argv[2])
from helion_autotune.evaluate.pool import WorkerPool
from helion_autotune.evaluate.process import WorkerProcess
pool = WorkerPool(1, timeout=None)
pool.submit("pool_jobs:hangs_with_a_child", sys.argv[1])
time.sleep(600)
"""


def test_workers_die_with_a_parent_that_is_killed(tmp_path) -> None:
    note = tmp_path / "pids"
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(note), str(HERE)])
    try:
        assert wait_until(lambda: note.exists() and note.read_text().count(" ") == 1)
    finally:
        parent.kill()
        parent.wait()
    worker, child = (int(pid) for pid in note.read_text().split())
    try:
        assert wait_until(lambda: gone(worker))
    finally:
        os.kill(child, 9)
