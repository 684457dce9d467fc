"""`tools/bench_selfcheck.py`: what it asks of helion-bench, and what it makes of three runs."""

import dataclasses
import runpy
import types
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


def planted(slower: dict[tuple[str, str], float], changed: tuple[str, ...] = ("softmax",)) -> Run:
    """Run C: beside ours, the same with other configs of some operations and other times of some cases.

    It was cut short after twelve cases.
    """
    run = synthetic_run(3, CASES[:12], drift=0.0)
    worse = synthetic_run(4, CASES[:12], drift=0.0, slower=slower)
    ours = [cell for cell in worse.cells if cell.backend == "helion"]
    configs = ["changed: rows: {}" if cell.case.op in changed else "rows: {}" for cell in ours]
    cells = [
        dataclasses.replace(cell, backend="helion-planted", config=config)
        for cell, config in zip(ours, configs, strict=True)
    ]
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
    assert asked[2][:3] == ["softmax", "*", "--quick"]
    there = 5  # backends of the first run, each of which has as much time in the third
    assert asked[2][3:6] == ["--seconds", f"{60 * (there + 1) / there:g}", "--backends"], (
        "as much time for each backend"
    )
    assert asked[2][6:] == ["helion,helion-default,eager,compile,vendor,helion-planted"], "options are given once"
    out = capsys.readouterr().out
    assert out.count(" within the run, found") == 5 and "whose configs are the same: none" in out


def test_operations_that_share_the_kernels_count_as_planted(tool: dict[str, Any], capsys: pytest.CaptureFixture[str]):
    slower = {(case.op, case.shape): 1.3 for case in CASES if case.op in ("softmax", "layer_norm")}
    assert checked(tool, planted(slower, ("softmax", "layer_norm")), [])[0] == 0
    assert capsys.readouterr().out.count(" within the run, found") == 10


def test_the_planted_backend_marks_what_it_changes(tool: dict[str, Any], tmp_path: Path):
    from helion_bench.backends.ours import CALLED

    tool["plug_in"](tmp_path, "softmax", {"num_warps": 1})
    backend = runpy.run_path(str(tmp_path / "helion_planted.py"))["Planted"]()
    assert backend.config() == ""
    CALLED.append(types.SimpleNamespace(op="softmax", configs={}))  # type: ignore[arg-type]
    try:
        assert backend.config() == "changed: "
    finally:
        CALLED.clear()


def test_nothing_found_is_a_failure(tool: dict[str, Any]):
    assert checked(tool, planted({}), [])[0] == 1


def test_a_case_found_whose_config_is_the_same_is_a_failure(tool: dict[str, Any], capsys: pytest.CaptureFixture[str]):
    slower = {(case.op, case.shape): 1.3 for case in CASES if case.op == "softmax" or case == CASES[7]}
    assert checked(tool, planted(slower), ["--ops", "layer_norm,rms_norm"])[0] == 1
    assert f"whose configs are the same: {CASES[7].id}" in capsys.readouterr().out
