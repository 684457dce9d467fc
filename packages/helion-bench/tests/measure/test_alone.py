"""Who measures on a GPU does so alone."""

import os
import tempfile

import pytest

from helion_bench.errors import InvalidRequest
from helion_bench.measure import machine
from helion_bench.measure.alone import alone, busy_note


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_second_run_on_one_gpu_is_refused():
    told = pytest.raises(InvalidRequest, match=f"process {os.getpid()} measures on this GPU")
    with alone("GPU-1"), alone("GPU-2"), told, alone("GPU-1"):
        pytest.fail("both would be measured at once")
    with alone("GPU-1"), pytest.raises(ZeroDivisionError), alone("GPU-2"):
        raise ZeroDivisionError
    with alone("GPU-2"):
        pass


def test_a_lock_of_a_process_that_ended_keeps_nobody_out(folder):
    (folder / "helion-bench-GPU-1.lock").write_text("4194305")
    with alone("GPU-1"):
        assert (folder / "helion-bench-GPU-1.lock").read_text() == str(os.getpid())


def test_where_nothing_can_be_locked_nobody_is_kept_out(folder):
    (folder / "helion-bench-GPU-1.lock").mkdir()
    with alone("GPU-1"), alone("GPU-1"):
        pass


def test_a_busy_gpu_is_told_of(monkeypatch):
    monkeypatch.setattr(machine, "gpu_uuid", lambda: "1")
    for said, note in (("37\n", ["37 %"]), ("3", []), ("[N/A]", []), ("", [])):
        monkeypatch.setattr(machine, "_output", lambda command, said=said: said)
        found = busy_note(machine.busy())
        assert len(found) == len(note) and all(part in text for part, text in zip(note, found, strict=True))
