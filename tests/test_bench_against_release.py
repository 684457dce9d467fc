"""`tools/bench_against_release.py`: which release, and what is asked of helion-bench."""

import dataclasses
import runpy
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from helion_bench.results.codec import encode
from helion_bench.results.store import Store
from helion_bench.testing.synthetic import cpu_run

ROOT = Path(__file__).parents[1]


@pytest.fixture
def tool() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "tools" / "bench_against_release.py"))["main"].__globals__


def git(root: Path, *words: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *words], cwd=root, check=True, capture_output=True)


def test_the_last_release_is_the_latest_tag_behind(tool: dict[str, Any], tmp_path: Path):
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "--allow-empty", "-m", "one")
    assert tool["last_release"](tmp_path) is None
    for tag in ("v0.1", "unrelated", "v0.2"):
        git(tmp_path, "tag", tag)
        git(tmp_path, "commit", "--allow-empty", "-m", f"after {tag}")
    assert tool["last_release"](tmp_path) == "v0.2"
    git(tmp_path, "tag", "v0.3")
    assert tool["last_release"](tmp_path) == "v0.2"


@pytest.fixture
def commands(tool: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """Every command the tool starts; a run of helion-bench leaves a file where it is asked for one."""
    started: list[list[str]] = []

    def run(command: list[str], **_: Any) -> SimpleNamespace:
        started.append(command)
        if "--json" in command:
            run = dataclasses.replace(cpu_run(), command=("helion-bench", *command[3:]))
            Path(command[command.index("--json") + 1]).write_bytes(encode(run))
        return SimpleNamespace(returncode=0, stdout="")

    monkeypatch.setenv("HELION_BENCH_RESULTS", str(tmp_path))
    monkeypatch.setattr(tool["subprocess"], "run", run)
    monkeypatch.setattr(tool["venv"], "create", lambda *_, **__: None)
    return started


def test_a_release_is_measured_once_and_then_compared_to(
    tool: dict[str, Any], commands: list[list[str]], tmp_path: Path
):
    options = ["--tag", "v0.1", "softmax", "--device", "cpu"]
    assert tool["main"](options) == 0
    assert any(command[:3] == ["git", "worktree", "add"] for command in commands)
    assert Store(tmp_path).find("v0.1").name == "v0.1"
    assert commands[-1][3:] == [
        "run",
        "softmax",
        "--device",
        "cpu",
        "--against",
        "v0.1",
        "--fail-on",
        "slower,wrong,missing",
    ]

    commands.clear()
    assert tool["main"](options) == 0
    assert len(commands) == 1, "the stored baseline is enough"
    assert tool["main"](["--fresh", *options]) == 0
    assert len(commands) > 2
    commands.clear()
    assert tool["main"]([*options, "--quick"]) == 0
    assert len(commands) > 2, "a baseline of other options has other cases"


def test_without_a_release_only_right_and_wrong_are_judged(
    tool: dict[str, Any], commands: list[list[str]], tmp_path: Path
):
    assert tool["main"](["--report", str(tmp_path)]) == 0
    assert "--against" not in commands[-1]
    assert commands[-1][3:6] == ["run", "--fail-on", "wrong"]
    assert str(tmp_path / "report.html") in commands[-1]


def test_a_release_that_cannot_be_measured_is_said(
    tool: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys, tmp_path
):
    monkeypatch.setenv("HELION_BENCH_RESULTS", str(tmp_path))

    def fail(*_: Any, **__: Any) -> None:
        raise subprocess.CalledProcessError(1, "pip")

    monkeypatch.setitem(tool, "measure_release", fail)
    assert tool["main"](["--tag", "v0.1", "--device", "cpu"]) == 2
    assert "the release v0.1 cannot be measured" in capsys.readouterr().err
