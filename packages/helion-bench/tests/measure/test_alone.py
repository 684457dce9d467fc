"""Who measures on a GPU does so alone."""

import os
import subprocess
import sys
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


def test_a_link_in_place_of_the_lock_is_not_followed(folder):
    """Else whoever may write to the folder could have files of others emptied."""
    precious = folder / "precious"
    precious.write_text("kept")
    (folder / "helion-bench-GPU-1.lock").symlink_to(precious)
    with alone("GPU-1"):
        pass
    assert precious.read_text() == "kept"


def test_a_lock_of_another_user_counts(folder, monkeypatch):
    """Whose file can be read, not written."""
    real = os.open

    def as_another(path, flags, *mode):
        if flags & os.O_RDWR:
            raise PermissionError(13, "Permission denied")
        return real(path, flags, *mode)

    (folder / "helion-bench-GPU-1.lock").write_text("")
    with alone("GPU-1"):
        monkeypatch.setattr(os, "open", as_another)
        with pytest.raises(InvalidRequest, match=r"process \d+ measures.*CUDA_VISIBLE_DEVICES"), alone("GPU-1"):
            pytest.fail("both would be measured at once")
    with alone("GPU-1"), pytest.raises(InvalidRequest, match="measures on this GPU"), alone("GPU-1"):
        pytest.fail("both would be measured at once")


def test_a_run_that_is_killed_keeps_nobody_out(folder):
    code = (
        "import sys; from helion_bench.measure.alone import alone\nwith alone('GPU-1'): print(1, flush=True); input()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(folder)},
    )  # fmt: skip
    with process:
        assert process.stdout is not None and process.stdout.readline() == b"1\n"
        with pytest.raises(InvalidRequest, match=f"process {process.pid} measures"), alone("GPU-1"):
            pytest.fail("both would be measured at once")
        process.kill()
        process.wait()
        with alone("GPU-1"):
            pass


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
