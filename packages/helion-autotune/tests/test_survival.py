"""Whole runs in processes of their own: scripts without a main guard, ``python -``, kill -9, Ctrl-C, two at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from helion_autotune.caches import CacheKey
from helion_autotune.caches.local import LocalCache
from helion_autotune.journal import read_lines
from helion_autotune.testing import hostile

# No main guard, on purpose: workers that imported this file would start tuning themselves. `seen` counts how often
# it ran.
SCRIPT = """
import json, sys
from helion_autotune import tune
from helion_autotune.caches import CacheKey, Entry
from helion_autotune.caches.local import LocalCache
from helion_autotune.evaluate import PipelineEvaluator, ProcessMeasurer, WorkerPool
from helion_autotune.testing import hostile

folder, pause = sys.argv[1], float(sys.argv[2])
with open(f"{folder}/seen", "a") as file:
    file.write("x")
pool = WorkerPool(2, timeout=1.5)
measurer = ProcessMeasurer(hostile.measure_point, interleave=hostile.interleave_points, request=lambda c: c.point)
evaluator = PipelineEvaluator(
    prepare=lambda point: {"point": point, "compile_seconds": pause},
    compiler=pool, compile=hostile.compile_point, measure=measurer, interleave=measurer.interleave,
)
space = hostile.space()
result = tune(
    space, evaluator, "finite", options={"points": hostile.assortment()}, journal=f"{folder}/run.jsonl"
)
cache = LocalCache(f"{folder}/cache")
key = CacheKey("hostile", {"space": space.fingerprint()})
entries = [Entry.from_trial(t, winner=t.point == result.point) for t in result.trials]
cache.put(key, entries)
print(json.dumps({
    "point": result.point, "stopped": result.stopped, "configs": result.statistics.configs,
    "resumed": result.statistics.resumed, "by_status": result.statistics.by_status,
}))
"""


def start(folder: Path, pause: float = 0.0, *, from_stdin: bool = False) -> subprocess.Popen:
    script = folder / "script.py"
    script.write_text(SCRIPT)
    arguments = [sys.executable, "-" if from_stdin else str(script), str(folder), str(pause)]
    stdin = script.open() if from_stdin else subprocess.DEVNULL
    return subprocess.Popen(
        arguments, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder
    )


def finish(process: subprocess.Popen) -> tuple[dict, str]:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return json.loads(out), err


def settled(folder: Path, *, ok: bool = False) -> list[str]:
    trials = [line["trial"] for line in read_lines(folder / "run.jsonl") if line.get("event") == "trial"]
    return [t["key"] for t in trials if t["status"] == "ok" or not ok]


def wait_for_trials(folder: Path, count: int) -> None:
    """Until so many are settled that worked."""
    deadline = time.monotonic() + 60
    while len(settled(folder, ok=True)) < count:
        assert time.monotonic() < deadline, "the run makes no progress"
        time.sleep(0.02)


@pytest.mark.parametrize("from_stdin", [False, True], ids=["script without main guard", "python -"])
def test_tunes_from_anywhere(tmp_path, from_stdin) -> None:
    result, err = finish(start(tmp_path, from_stdin=from_stdin))
    assert (tmp_path / "seen").read_text() == "x", "no worker ran the script again"
    assert result["point"] == hostile.best_point()
    assert "[0s] Starting FiniteSearch with configs=33" in err
    assert "configs failed:" in err
    assert set(result["by_status"]) == {"ok", "compile_error", "timeout", "crash", "wrong", "launch_error"}


def test_a_killed_run_resumes_and_loses_nothing(tmp_path) -> None:
    first = start(tmp_path, pause=0.05)
    wait_for_trials(tmp_path, 5)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    before = settled(tmp_path)
    assert not list((tmp_path / "cache").rglob("*.json"))
    with (tmp_path / "run.jsonl").open("a") as file:
        file.write('{"event":"trial","trial":{"poi')
    result, _ = finish(start(tmp_path))
    after = settled(tmp_path)
    assert after[: len(before)] == before
    assert len(after) == len(set(after)), "nothing is evaluated twice"
    assert result["resumed"] == len(before)
    assert result["point"] == hostile.best_point()


def test_ctrl_c_keeps_the_best_and_leaves_no_process(tmp_path) -> None:
    process = start(tmp_path, pause=0.2)
    wait_for_trials(tmp_path, 2)
    process.send_signal(signal.SIGINT)
    result, err = finish(process)
    assert result["stopped"] == "interrupted"
    assert hostile.fate(result["point"]) == "ok"
    assert "Interrupted; the best config so far is kept." in err
    assert "Traceback" not in err
    time.sleep(0.2)
    assert not workers_of(process.pid)


def workers_of(parent: int) -> list[str]:
    """Command lines of worker processes that were started by a process."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = entry.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if "helion_autotune.evaluate.worker" in " ".join(command) and str(parent) in command:
            found.append(" ".join(command))
    return found


def test_two_processes_tune_the_same_thing(tmp_path) -> None:
    processes = [start(tmp_path) for _ in range(2)]
    outcomes = [finish(p) for p in processes]
    assert [result["point"] for result, _ in outcomes] == [hostile.best_point()] * 2
    key = CacheKey("hostile", {"space": hostile.space().fingerprint()})
    record = LocalCache(tmp_path / "cache").get(key)
    assert record is not None
    assert len(record.entries) == len(hostile.assortment())
    assert record.winner is not None
    assert record.winner.point == hostile.best_point()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small tmpfs takes root")
def test_a_full_disk(tmp_path) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(folder)], check=False).returncode:
        pytest.skip("mounting is not permitted here; simulated full disks are tested elsewhere")
    try:
        result, err = finish(start(folder))
        assert result["point"] == hostile.best_point()
        assert "No space left on device" in err
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
