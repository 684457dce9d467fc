"""`tools/descriptor_cost.py`: its rows in the interpreter, its limits with times of our own."""

import runpy
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[4] / "tools"


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(TOOLS), *sys.path])
    return runpy.run_path(str(TOOLS / "descriptor_cost.py"))["main"].__globals__


def test_rows_compute_products(tool):
    rows = tool["rows"]("cpu", 32, 5)  # checks them itself
    assert len(rows) == 9
    for call in rows.values():
        assert call().shape == (32, 32)


def test_limits_are_of_what_descriptors_add(tool):
    def found(same, few, many):
        added = {"the same tensors": same, "a few in turn": few, "many in turn": many}
        drift = (1.0, 9.0, 30.0)
        return {f"{name}, {row}": [d + us for d in drift] for row, more in added.items() for name, us in
                (("descriptors", 10 + more), ("pointers", 10))}  # fmt: skip

    within = tool["within_limits"]
    assert within(found(4.9, 4.9, 14.9))
    assert not within(found(5.1, 1, 1)) and not within(found(1, 5.1, 1)) and not within(found(1, 1, 15.1))
