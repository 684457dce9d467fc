"""Folders of searches: gone with their search, and after a killed one with the next."""

import os
import signal
import subprocess
import sys
import time

from helion.tuning.scratch import Scratch

HOLD = """
import sys, time
from pathlib import Path
from helion.tuning.scratch import Scratch
print(Scratch(Path(sys.argv[1])).path, flush=True)
time.sleep(600)
"""


def aged(path):
    """As if made ten minutes ago."""
    os.utime(path, (time.time() - 600,) * 2)
    return path


def test_closed_is_gone(tmp_path):
    scratch = Scratch(tmp_path)
    (scratch.path / "arguments.pt").write_bytes(b"x")
    scratch.close()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_goes_and_what_is_used_stays(tmp_path):
    kept = Scratch(tmp_path)
    mine = aged(kept.path)
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    theirs = tmp_path / process.stdout.readline().strip()
    Scratch(tmp_path).close()
    assert aged(mine).exists() and aged(theirs).exists()
    process.send_signal(signal.SIGKILL)
    process.wait()
    Scratch(tmp_path).close()
    assert mine.exists() and not theirs.exists()
    kept.close()


def test_what_is_new_or_no_folder_of_ours_is_left_alone(tmp_path):
    (tmp_path / "helion-tuning-new").mkdir()
    (tmp_path / "other").mkdir()
    aged(tmp_path / "other")
    (tmp_path / "helion-tuning-link").symlink_to(tmp_path / "other")
    Scratch(tmp_path).close()
    assert {path.name for path in tmp_path.iterdir()} == {"helion-tuning-new", "other", "helion-tuning-link"}
    assert list((tmp_path / "other").iterdir()) == []
