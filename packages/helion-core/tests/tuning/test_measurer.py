"""The parent's side of measuring: processes that end are replaced, the arguments loaded again, idle ones used again."""

from __future__ import annotations

import math
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from helion.tuning import measurer as measuring
from helion.tuning.measurer import GpuMeasurer
from helion_autotune.errors import CandidateTimeout, DeviceFault, LaunchError, WorkerCrashed, WrongResult


def candidate(name, path="a"):
    return SimpleNamespace(payload={"name": name, "launch": {"arguments": path}})


@pytest.fixture
def measurer(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.setattr(measuring, "_DEVICE", "fake_device")
    monkeypatch.setattr(measuring, "_HANG_SECONDS", 3.0)
    monkeypatch.setattr(measuring, "_HANG_RATIO", 1.0)
    monkeypatch.setattr(measuring, "_idle", measuring._Idle())
    made = GpuMeasurer(0)
    yield made
    made._calls.end()


def pid(measurer):
    return measurer(candidate("right"), math.inf).milliseconds


def test_a_wrong_candidate_leaves_the_process_alone(measurer):
    first = pid(measurer)
    with pytest.raises(WrongResult):
        measurer(candidate("wrong"), math.inf)
    assert pid(measurer) == first


@pytest.mark.parametrize(
    ("name", "error"), [("dies", WorkerCrashed), ("faults", DeviceFault), ("hangs", CandidateTimeout)]
)
def test_a_bad_candidate_takes_its_process_along_and_no_more(measurer, name, error):
    first = pid(measurer)
    for _ in range(2):
        with pytest.raises(error):
            measurer(candidate(name), 1.0)
    start = time.monotonic()
    assert pid(measurer) != first
    assert time.monotonic() - start < 20


def test_a_reference_that_faults_is_done_without(measurer, caplog):
    measurer.reference = {"name": "faults"}
    assert pid(measurer) > 0
    assert measurer.reference is None
    assert "outputs are not checked" in caplog.text


def test_memory_that_torch_does_not_use_is_given_back(measurer, monkeypatch):
    freed = []
    monkeypatch.setattr(measuring, "_free_unused_memory", lambda: freed.append(1))
    assert measurer(candidate("right", "tight"), math.inf).milliseconds > 0
    assert freed == [1]


def test_without_room_for_the_arguments_nothing_is_tried_again(measurer, caplog):
    for _ in range(2):
        with pytest.raises(LaunchError, match=r"no room .* CUDA out of memory"):
            measurer(candidate("right", "huge"), math.inf)
    assert caplog.text.count("no room") == 1
    with pytest.raises(NotImplementedError, match="no room"):
        measurer.interleave([candidate("right", "huge")])


def test_a_play_off_that_fails_is_none(measurer):
    assert measurer.interleave([candidate("right"), candidate("right")]) == [1.0, 1.0]
    with pytest.raises(NotImplementedError):
        measurer.interleave([candidate("right"), candidate("dies")])
    assert measurer.interleave([]) == []


def test_an_idle_process_serves_the_next(measurer):
    first = pid(measurer)
    measurer.close()
    again = GpuMeasurer(0)
    assert pid(again) == first


def test_an_idle_process_ends(measurer, monkeypatch):
    monkeypatch.setattr(measuring, "IDLE_SECONDS", 0.2)
    first = int(pid(measurer))
    measurer.close()
    deadline = time.monotonic() + 20
    while Path(f"/proc/{first}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{first}").exists()
