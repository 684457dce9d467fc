from __future__ import annotations

import csv
import io
import json

import pytest

from helion_autotune import Fixed, Integer, Reporter, SearchSpace, tune
from helion_autotune.errors import CompileError
from helion_autotune.evaluate import InlineEvaluator
from helion_autotune.progress import TerminalProgress
from helion_autotune.report import milestone_text
from helion_autotune.strategies.base import Milestone
from helion_autotune.strategies.differential_evolution import DifferentialEvolutionSearch
from helion_autotune.summary import group_failures
from helion_autotune.trial import Trial

SPACE = SearchSpace({"num_warps": Integer(1, 400, 4)})


def cost(point) -> float:
    if point["num_warps"] % 7 == 0:
        raise CompileError(f"error: {point['num_warps']} warps do not fit\nsecond line")
    return 0.5 + abs(point["num_warps"] - 100) / 100


def show(point) -> str:
    return f"Config(num_warps={point['num_warps']})"


def hardcode(point) -> str:
    return f"@helion.kernel(config=helion.{show(point)})"


def lines_of(strategy, **keywords) -> list[str]:
    lines: list[str] = []
    tune(
        SPACE, InlineEvaluator(cost), strategy, write=lines.append, show_point=show, show_hardcode=hardcode, **keywords
    )
    return lines


def test_prints_what_the_documentation_shows() -> None:
    options = {"population": 10, "generations": 6}
    lines = lines_of("differential_evolution", options=options, finalists=0)
    assert lines[0] == (
        "[0s] Starting DifferentialEvolutionSearch with population=10, generations=6, crossover_rate=0.8"
    )
    assert lines[1].startswith("[0s] Initial population: failed=")
    assert [line.split(":")[0] for line in lines[2:6]] == [f"[0s] Generation {i}" for i in (2, 3, 4, 5)]
    number = r"\d+\.\d{4}"
    assert_matches(lines[2], rf"\[0s\] Generation 2: (replaced=\d+ )?min={number} mid={number} max={number} best=Conf")
    assert_matches(lines[6], r"\[0s\] \d+ of 61 configs failed:")
    assert_matches(lines[7], r"    \d+ compile_error: error: \d+ warps do not fit$")
    assert_matches(lines[8], r"\[0s\] Autotuning complete in 0\.\ds after searching 61 configs\.")
    assert lines[9] == "One can hardcode the best config and skip autotuning with:"
    assert_matches(lines[10], r"    @helion\.kernel\(config=helion\.Config\(num_warps=\d+\)\)")
    assert len(lines) == 11


def assert_matches(text: str, pattern: str) -> None:
    import re

    assert re.match(pattern, text), f"{text!r} does not match {pattern!r}"


def test_the_defaults_are_those_of_the_documentation() -> None:
    assert DifferentialEvolutionSearch(SPACE).describe() == (
        "DifferentialEvolutionSearch with population=40, generations=20, crossover_rate=0.8"
    )


def test_a_milestone_as_text() -> None:
    milestone = Milestone(
        "Initial population", {"failed": 10, "replaced": 0}, [3.0013, 0.9677, 22.143], {"num_warps": 2}
    )
    assert milestone_text(milestone, show) == (
        "Initial population: failed=10 min=0.9677 mid=3.0013 max=22.1430 best=Config(num_warps=2)"
    )
    assert milestone_text(Milestone("Nothing"), show) == "Nothing: "


def test_nothing_measured_is_said() -> None:
    lines: list[str] = []
    evaluator = InlineEvaluator(lambda p: cost({"num_warps": 7}))
    tune(SPACE, evaluator, "random", options={"count": 3}, write=lines.append, show_hardcode=hardcode)
    assert "[0s] Warning: the default config failed (compile_error): error: 7 warps do not fit\nsecond line" in lines
    assert lines[-1] == "[0s] Nothing could be measured; the default config is used."


def test_failures_group_by_what_they_say() -> None:
    messages = ["ptxas: 300 registers at 0xff12", "ptxas: 512 registers at 0x1", "other"]
    failed = [Trial({"x": i}, "compile_error", message=m) for i, m in enumerate(messages)]
    failed.append(Trial({"x": 9}, "timeout", message="ptxas: 1 registers at 0x2"))
    groups = group_failures([*failed, Trial({"x": 10}, milliseconds=1.0)])
    assert [(g.status, g.count) for g in groups] == [("compile_error", 2), ("compile_error", 1), ("timeout", 1)]
    assert groups[0].example == messages[0]


def test_logs_of_several_runs_add_up(tmp_path) -> None:
    for x, label in ((3, "softmax(float32[8, 128])"), (4, "")):
        space, evaluator = SearchSpace({"x": Fixed(x)}), InlineEvaluator(lambda p: 1.0)
        tune(space, evaluator, "finite", log=tmp_path / "run", label=label, write=None)
    with open(tmp_path / "run.csv", newline="") as file:
        found = [(row["point"], row["label"]) for row in csv.DictReader(file)]
    assert found == [('{"x":3}', "softmax(float32[8, 128])"), ('{"x":4}', "")]
    text = (tmp_path / "run.log").read_text()
    assert text.startswith("softmax(float32[8, 128])\n[0s] Starting FiniteSearch")
    assert text.count("Starting FiniteSearch") == 2


def test_csv_and_text_logs(tmp_path) -> None:
    prefix = tmp_path / "logs" / "run"
    points = [{"num_warps": n} for n in (100, 7)]
    lines = lines_of("finite", options={"points": points}, log=prefix)
    with open(f"{prefix}.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["status"], r["milliseconds"], json.loads(r["point"])) for r in rows] == [
        ("ok", "0.5", points[0]),
        ("compile_error", "", points[1]),
    ]
    assert rows[1]["message"] == "error: 7 warps do not fit"
    text = (tmp_path / "logs" / "run.log").read_text()
    assert all(line in text for line in lines)
    assert "compile_error: Config(num_warps=7)\nerror: 7 warps do not fit\nsecond line" in text


def test_a_log_that_cannot_be_written_is_a_warning(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.warns(UserWarning, match="the run goes on without it"):
        lines = lines_of("finite", options={"points": [{"num_warps": 100}]}, log=tmp_path / "file" / "run")
    assert lines[-1].endswith("Config(num_warps=100))")


def test_a_terminal_gets_the_same_lines_and_a_bar() -> None:
    from rich.console import Console

    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=60, color_system=None)
    display = TerminalProgress(show, hardcode, console)
    strategy_options = {"points": [{"num_warps": n} for n in (100, 7, 120)]}
    tune(SPACE, InlineEvaluator(cost), "finite", options=strategy_options, write=None, observers=[display])
    text = screen.getvalue()
    assert "[0s] Starting FiniteSearch with configs=3" in text
    assert "3 configs, 1 failed, best 0.5000 ms" in text
    assert "    @helion.kernel(config=helion.Config(num_warps=100))" in text, "long lines are not broken"


def test_a_plain_reporter_is_used_where_stderr_is_no_terminal(capsys) -> None:
    tune(SPACE, InlineEvaluator(cost), "finite", options={"points": [{"num_warps": 100}]}, progress_bar=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("[0s] Starting FiniteSearch")
    assert "\x1b" not in err


def test_a_reporter_needs_no_client() -> None:
    lines: list[str] = []
    Reporter(lines.append).started("X", 3.9)
    assert lines == ["[3s] Starting X"]
