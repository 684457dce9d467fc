import subprocess
import sys
from pathlib import Path

import pytest

import helion_bench
from helion_bench.__main__ import main


def test_version(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"helion-bench {helion_bench.__version__}\n"


def test_run_says_that_there_is_nothing_to_run(capsys: pytest.CaptureFixture[str]):
    assert main(["run"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "holds no benchmark cases yet" in captured.err


def test_no_command_is_an_error(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stop:
        main([])
    assert stop.value.code == 2
    assert "COMMAND" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command",
    [[str(Path(sys.executable).parent / "helion-bench")], [sys.executable, "-m", "helion_bench"]],
    ids=["script", "module"],
)
def test_installed_command(command: list[str]):
    done = subprocess.run([*command, "run"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "holds no benchmark cases yet" in done.stderr
