"""tools/tune_kernels.py: its options, the names of its tables, and a run with a search that needs no GPU."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
import torch

import helion
from helion_kernels.frame.tables import from_text
from helion_kernels.tuning import Found

PATH = Path(__file__).parents[3] / "tools" / "tune_kernels.py"
if not PATH.exists():
    pytest.skip("only in the repository", allow_module_level=True)


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("tune_kernels", PATH)
    module = importlib.util.module_from_spec(spec)
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


def test_a_run(tool, tmp_path, monkeypatch, capsys, interpret):
    monkeypatch.setattr(
        tool, "by_measuring", lambda seconds: lambda bound, args: Found(helion.Config(num_warps=8), 1.0, 1.5)
    )
    monkeypatch.setattr(sys.modules["helion_kernels.softmax"], "SHAPES", ((4, 32), (4, 64), (4, 128)))
    options = tool.parse(["--ops", "softmax", "--dtypes", "f32", "--shapes", "2", "--out", str(tmp_path)])
    results = tool.tune_op("softmax", options, torch.device("cpu"), "h100")
    table = from_text((tmp_path / "softmax.h100.json").read_text())
    assert len(table) == len(results) == 12
    assert tool.summary(results) == "12 kernels tuned, 12 entries written, up to 1.50 times as fast as the default"
    assert "[softmax] shape 2 of 2: (4, 64)" in capsys.readouterr().out
