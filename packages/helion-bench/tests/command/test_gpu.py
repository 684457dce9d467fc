"""The whole command on a GPU."""

from pathlib import Path

import pytest

from helion_bench.__main__ import main
from helion_bench.results.compare import compare
from helion_bench.results.derived import timed
from helion_bench.results.store import read_run
from helion_bench.statistics.verdict import Verdict

pytestmark = pytest.mark.gpu


def test_two_runs_of_one_commit_do_not_differ(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    files = [tmp_path / f"{name}.json" for name in "ab"]
    html = tmp_path / "report.html"
    for file in files:
        words = ["run", "softmax", "rms_norm", "--quick", "--results", str(tmp_path), "--json", str(file)]
        assert main([*words, "--html", str(html)]) == 0
    old, new = map(read_run, files)
    assert new.complete
    assert sum(timed(cell) for cell in new.cells if cell.backend == "helion") == len(new.cases)
    assert compare(old, new).count(Verdict.SLOWER) == 0
    assert "helion against its peers (geometric means)" in capsys.readouterr().out
    assert "<svg" in html.read_text() and "vs best" in html.read_text()
