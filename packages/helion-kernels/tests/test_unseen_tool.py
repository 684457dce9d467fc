"""tools/unseen_shapes.py with searches that need no GPU."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
import torch

import helion_kernels
from helion_kernels.frame.samples import module_of
from helion_kernels.tuning import Found

PATH = Path(__file__).parents[3] / "tools" / "unseen_shapes.py"
if not PATH.exists():
    pytest.skip("only in the repository", allow_module_level=True)


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("unseen_shapes", PATH)
    module = sys.modules["unseen_shapes"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_shapes_are_of_operations_and_in_no_list(tool):
    assert len(tool.SHAPES) == 10
    for op, shape in tool.SHAPES:
        assert op in helion_kernels.OPS and shape not in module_of(op).SHAPES


@pytest.mark.parametrize(("best", "status"), [(0.8, 0), (0.6, 1), (None, 1)])
def test_what_is_judged(tool, interpret, best, status, capsys):
    """`best`: milliseconds of what the search finds, where the call's own config takes one."""
    asked = []

    def search(bound, args, chosen):
        asked.append((bound.kernel.name, chosen))
        return None if best is None else Found(chosen, best, 1.0)

    found = tool.shares([("softmax", (6, 40))], search, torch.device("cpu"))
    assert {name for name, _ in asked} == {
        "softmax_rows",
        "softmax_rows_backward",
        "softmax_columns",
        "softmax_columns_backward",
    }
    assert all(share.value == best for share in found)
    assert tool.judged(found, 0.7) == status
    assert "softmax_rows" in capsys.readouterr().out
