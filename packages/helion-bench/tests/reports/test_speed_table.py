"""tools/speed_table.py: the README's table and the list behind it say what a run says."""

from __future__ import annotations

import dataclasses
import importlib.util
import math
import re
from pathlib import Path

import pytest

from helion_bench.results.codec import encode
from helion_bench.results.model import Status
from helion_bench.results.speedup import speedups
from helion_bench.results.store import write_file
from helion_bench.testing.synthetic import example_runs

PATH = Path(__file__).parents[4] / "tools" / "speed_table.py"


@pytest.fixture
def tool(monkeypatch, tmp_path):
    spec = importlib.util.spec_from_file_location("speed_table", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "README", tmp_path / "README.md")
    monkeypatch.setattr(module, "CASES", tmp_path / "speeds.md")
    module.README.write_text(f"before\n{module.BEGIN}\nold\n{module.END}\nafter\n")
    return module


@pytest.fixture
def run():
    return next(run for run in example_runs().values() if speedups(run, "helion"))


def test_what_is_written_and_checked(tool, run, tmp_path, capsys):
    stored = tmp_path / "run.json"
    write_file(stored, encode(run))
    assert tool.main([str(stored), "--check"]) == 1
    assert "old" in tool.README.read_text(), "--check writes nothing"
    assert tool.main([str(stored)]) == 0
    assert tool.main([str(stored), "--check"]) == 0
    text = tool.README.read_text()
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "old" not in text
    assert run.machine.gpu in text
    assert tool.CASES.read_text().count("\n| ") == len(speedups(run, "helion")) + 2


def test_means_are_those_of_the_cases(tool, run):
    found = speedups(run, "helion")
    op, dtype, pass_ = found[0].case.op, found[0].case.dtype, found[0].case.pass_
    values = [s.best_peer.value for s in found if (s.case.op, s.case.dtype, s.case.pass_) == (op, dtype, pass_)]
    row = next(line for line in tool.table(run) if line.startswith(f"| {op} | {dtype} | {pass_} |"))
    shown = float(re.search(r"\*\*(.*)\*\*", row)[1])
    assert shown == pytest.approx(math.prod(values) ** (1 / len(values)), abs=0.006)


def test_stars_columns_and_lines_below(tool, run):
    first = speedups(run, "helion")[0]
    cells = [
        dataclasses.replace(c, latency=dataclasses.replace(c.latency, host_bound=True))
        for c in run.cells if c.case == first.case and c.backend == first.best
    ]  # fmt: skip
    words = ("helion-bench", "run", "soft*", "--json", "/there/a.json", "--html=/there/a.html", "--quick")
    told = dataclasses.replace(run.with_cells(cells), command=words)
    readme, listed = tool.written(told).values()
    row = next(line for line in readme.splitlines() if line.startswith(f"| {first.case.op} |"))
    assert re.search(r"\*\*\d\.\d\d\*\*\\\* \|", row), "the mean over the best peers has a star"
    assert f"| {first.case.id} | {first.best_peer.value:.2f}\\* |" in listed
    for text in (readme, listed):
        assert (
            f"\\* host-bound, the GPU waited for the host within these calls: {first.case.op} of {first.best}" in text
        )
        assert "`helion-bench run 'soft*' --quick`" in text and "/there" not in text
        assert "commit" not in text and run.software.commit[:7] not in text


def test_every_peer_has_its_column_and_what_has_no_result_is_named(tool, run):
    heads = tool.table(run)[0]
    assert "vendor" in tool.table(run)[0] and "Liger" not in heads, "liger is not there"
    others = tuple(dataclasses.replace(b, name="other" if b.name == "vendor" else b.name) for b in run.backends)
    cells = [dataclasses.replace(c, backend="other" if c.backend == "vendor" else c.backend) for c in run.cells]
    renamed = dataclasses.replace(run, backends=others, cells=tuple(cells))
    assert "| other | error |" in tool.table(renamed)[0]
    wrong = dataclasses.replace(run.cells[0], status=Status.WRONG, reason="off\nby one")
    assert f"No result of helion (off by one): {wrong.case.id}." in tool.told(run.with_cells([wrong]))


def test_a_readme_without_marks(tool, run):
    tool.README.write_text("nothing here")
    with pytest.raises(ValueError, match="has no lines"):
        tool.written(run)
