"""tools/tune_kernels.py: its options, the names of its tables, and a run with a search that needs no GPU."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
import torch

import helion
from helion_kernels.frame.samples import module_of
from helion_kernels.frame.tables import from_text
from helion_kernels.tuning import Found

PATH = Path(__file__).parents[3] / "tools" / "tune_kernels.py"
if not PATH.exists():
    pytest.skip("only in the repository", allow_module_level=True)


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("tune_kernels", PATH)
    module = sys.modules["tune_kernels"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("name", "model"),
    [("h100-80gb-hbm3", "h100"), ("geforce-rtx-4090", "geforce-rtx-4090"), ("a100-sxm4-40gb", "a100"), ("toy", "toy")],
)
def test_names_of_tables(tool, name, model):
    assert tool.model_of(name) == model


def test_options(tool, capsys):
    options = tool.parse(["--ops", "softmax,rope", "--dtypes", "bf16,f32", "--seconds", "5"])
    assert options.ops == ["softmax", "rope"] and options.seconds == 5.0
    with pytest.raises(SystemExit):
        tool.parse(["--ops", "softmix"])
    assert "'softmix' is none of" in capsys.readouterr().err


def pretended(seconds=None):
    return lambda bound, args: Found(helion.Config(num_warps=8), 1.0, 1.5)


@pytest.fixture
def few(monkeypatch):
    """Few shapes, and searches that take no time."""
    monkeypatch.setattr(module_of("softmax"), "SHAPES", ((4, 32), (4, 64), (4, 128)))
    monkeypatch.setattr(module_of("swiglu"), "SHAPES", ((4, 64),))


def run(tool, tmp_path, *arguments):
    options = tool.parse(["--dtypes", "f32", "--out", str(tmp_path), *arguments])
    return tool.tune_all(options, torch.device("cpu"), "h100")


def test_a_run(tool, tmp_path, monkeypatch, capsys, interpret, few):
    monkeypatch.setattr(tool, "by_measuring", pretended)
    assert run(tool, tmp_path, "--ops", "softmax,swiglu", "--shapes", "2")
    out = capsys.readouterr().out
    starts = [line.split(",")[0] for line in out.splitlines() if " round " in line]
    assert starts == ["[softmax] round 1: (4", "[swiglu] round 1: (4", "[softmax] round 2: (4"]
    table = from_text((tmp_path / "softmax.h100.json").read_text())
    assert len(table) == 12 and (tmp_path / "swiglu.h100.json").exists()
    assert out.splitlines()[-1].endswith("up to 1.50 times as fast as the default")


def test_one_failure_does_not_cost_the_others_their_run(tool, tmp_path, monkeypatch, capsys, interpret, few):
    def broken(seconds=None):
        def search(bound, args):
            if bound.kernel.name.startswith("softmax"):
                raise RuntimeError("a broken search")
            return Found(helion.Config(num_warps=8), 1.0, 1.5)

        return search

    monkeypatch.setattr(tool, "by_measuring", broken)
    assert not run(tool, tmp_path, "--ops", "softmax,swiglu", "--shapes", "1")
    assert "[softmax] FAILED: a broken search" in capsys.readouterr().err
    assert (tmp_path / "swiglu.h100.json").exists() and not (tmp_path / "softmax.h100.json").exists()


class Toy:
    """Time that passes only where searches spend it."""

    def __init__(self, tool, monkeypatch, good=()):
        self.now, self.spent, self.good = 0.0, [], good
        monkeypatch.setattr(tool.time, "perf_counter", lambda: self.now)
        monkeypatch.setattr(tool, "excess", self.excess)
        monkeypatch.setattr(tool, "by_measuring", self.by_measuring)

    def excess(self, bound, args):
        self.now += 0.5
        return 2.0, 1.05 if bound.kernel.name in self.good else 1.5

    def by_measuring(self, seconds):
        def search(bound, args):
            self.now += seconds + 2.5
            self.spent.append((bound.kernel.name, seconds))
            return Found(helion.Config(num_warps=8), 1.0, 2.0)

        return search


@pytest.mark.parametrize("total", [40.0, 100.0, 1000.0])
def test_all_operations_share_the_time(tool, tmp_path, monkeypatch, capsys, interpret, few, total):
    toy = Toy(tool, monkeypatch)
    assert run(tool, tmp_path, "--ops", "softmax,swiglu", "--total-seconds", str(total))
    assert toy.now <= total + 10
    if total >= 100:
        assert {name for name, _ in toy.spent} >= {"softmax_rows", "gated_rows", "gated_rows_backward"}
    if total == 1000:
        assert len(toy.spent) == 6 * 3 + 8 and max(seconds for _, seconds in toy.spent) < 20
    else:
        assert "the time is spent" in capsys.readouterr().out


def test_what_is_good_is_not_searched(tool, tmp_path, monkeypatch, capsys, interpret, few):
    toy = Toy(tool, monkeypatch, good=("softmax_rows", "softmax_rows_backward"))
    run(tool, tmp_path, "--ops", "softmax", "--shapes", "1", "--total-seconds", "60")
    assert {name for name, _ in toy.spent} == {"softmax_columns", "softmax_columns_backward"}
    assert min(seconds for _, seconds in toy.spent) > 5.0, "it leaves its share to the others"
    assert "2.0000 ms, default 2.0000 ms; the default stays" in capsys.readouterr().out
