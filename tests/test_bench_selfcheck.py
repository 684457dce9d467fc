"""`tools/bench_selfcheck.py`: what it asks of helion-bench, and what it makes of three runs."""

import dataclasses
import runpy
from pathlib import Path
from typing import Any

import pytest

from helion_bench.results.model import Backend, Role, Run
from helion_bench.testing.synthetic import row_cases, synthetic_run

ROOT = Path(__file__).parents[1]
CASES = row_cases(4, 5)


@pytest.fixture
def tool() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "tools" / "bench_selfcheck.py"))["main"].__globals__


def planted(slower: dict[tuple[str, str], float]) -> Run:
    """Run C: beside ours, the same with other times of some cases; it was cut short after twelve cases."""
    run = synthetic_run(3, CASES[:12], drift=0.0)
    worse = synthetic_run(4, CASES[:12], drift=0.0, slower=slower)
    cells = [dataclasses.replace(cell, backend="helion-planted") for cell in worse.cells if cell.backend == "helion"]
    backends = (Backend("helion-planted", Role.OURS), *run.backends)
    return dataclasses.replace(run, backends=backends).with_cells(cells)


def checked(tool: dict[str, Any], third: Run, words: list[str]) -> tuple[int, list[list[str]]]:
    asked: list[list[str]] = []
    runs = iter([synthetic_run(1, CASES, drift=0.0), synthetic_run(2, CASES, drift=0.0), third])

    def bench(result: Path, options: list[str], path: Path | None = None) -> Run:
        asked.append(list(options))
        assert (path is not None) == (len(asked) == 3)
        assert path is None or "num_warps" in (path / "helion_planted.py").read_text()
        return next(runs)

    tool["bench"] = bench
    return tool["main"](words), asked


def test_what_is_planted_is_found_and_nothing_else(tool: dict[str, Any], capsys: pytest.CaptureFixture[str]):
    slower = {(case.op, case.shape): 1.3 for case in CASES if case.op == "softmax"}
    words = ["--quick", "--seconds", "60", "--backends", "helion,eager"]
    status, asked = checked(tool, planted(slower), words)
    assert status == 0
    assert asked[0] == asked[1] == ["softmax", "*", *words], "what is planted is measured first"
    assert asked[2][: len(asked[0])] == asked[0]
    assert asked[2][-2] == "--backends" and asked[2][-1].endswith(",helion-planted")
    out = capsys.readouterr().out
    assert out.count(" within the run, found") == 5 and "of other operations: none" in out


def test_nothing_found_is_a_failure(tool: dict[str, Any]):
    assert checked(tool, planted({}), [])[0] == 1


def test_another_operation_found_is_a_failure(tool: dict[str, Any], capsys: pytest.CaptureFixture[str]):
    slower = {(case.op, case.shape): 1.3 for case in CASES if case.op == "softmax" or case == CASES[7]}
    assert checked(tool, planted(slower), ["--ops", "layer_norm,rms_norm"])[0] == 1
    assert f"of other operations: {CASES[7].id}" in capsys.readouterr().out
