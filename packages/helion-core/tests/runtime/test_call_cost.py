"""`tools/call_cost.py`: its statistics with clocks of our own, the parts of a call on the machine that is not there."""

import gc
import os
import runpy
from pathlib import Path
from typing import Any

import pytest
import torch
from machine import GPU

from helion.runtime.launching import launch

TOOL = Path(__file__).parents[4] / "tools" / "call_cost.py"


@pytest.fixture(scope="module")
def tool() -> dict[str, Any]:
    return runpy.run_path(str(TOOL))["main"].__globals__


class Clock:
    """Time that passes when fake calls are made, faster and faster."""

    def __init__(self):
        self.now, self.speed, self.settled, self.order = 0.0, 1.0, 0, []

    def call(self, name, microseconds):
        def made():
            self.now += 1e-6 * microseconds * self.speed
            self.order.append(name)

        return made

    def settle(self):
        self.settled += 1
        self.now += 1.0  # never counted


def test_rounds_time_every_row_in_changing_order(tool):
    clock = Clock()
    rows = {name: clock.call(name, cost) for name, cost in (("ours", 4), ("Triton's dispatch", 16), ("torch", 3))}
    found = tool["measure"](rows, 8, 5, clock.settle, lambda: clock.now)
    assert {name: [round(v, 6) for v in values] for name, values in found.items()} == {
        "ours": [4.0] * 8, "Triton's dispatch": [16.0] * 8, "torch": [3.0] * 8,
    }  # fmt: skip
    assert clock.settled == 8 * 3 + 1 and len(clock.order) == 8 * 3 * 5
    rounds = [tuple(clock.order[k : k + 15 : 5]) for k in range(0, 120, 15)]
    assert all(len(set(names)) == 3 for names in rounds) and len(set(rounds)) > 1


def test_ratios_are_of_rounds_and_survive_drift(tool):
    drift = [1.0, 1.5, 2.0, 4.0, 8.0]
    found = {"ours": [4 * d for d in drift], "Triton's dispatch": [10 * d for d in drift]}
    found["ours"][0] = 400.0  # one outlier
    assert tool["ratio"](found, "ours", "Triton's dispatch") == pytest.approx(0.4)
    s = tool["spread"]([1.0, 2.0, 3.0, 4.0, 100.0])
    assert (s.low, s.median, s.high) == (2.0, 3.0, 4.0)


@pytest.mark.parametrize(
    ("ours", "dispatch", "within"),
    [([9.0, 9.9, 30.0], [25.0, 25.0, 70.0], True), ([10.1] * 3, [30.0] * 3, False), ([9.0] * 3, [17.0] * 3, False)],
)
def test_the_check_holds_both_limits(tool, ours, dispatch, within):
    found = {"ours": ours, "Triton's dispatch": dispatch, "  a part": [1.0, 2.0, 3.0]}
    assert tool["within_limits"](found) is within
    text = tool["table"]("title", found)
    assert "(limit 10)" in text and "(limit 0.5)" in text and "  a part" in text and "2.00     1.50     2.50" in text


def test_the_process_is_put_back(tool):
    before, collecting = os.sched_getaffinity(0), gc.isenabled()
    with pytest.raises(KeyError), tool["quiet_core"]():
        assert len(os.sched_getaffinity(0)) == 1 and not gc.isenabled()
        raise KeyError
    assert os.sched_getaffinity(0) == before and gc.isenabled() == collecting


def test_warming_up_calls_every_row(tool):
    clock = Clock()
    tool["warm_up"]({"a": clock.call("a", 1), "b": clock.call("b", 1)}, 0.01, clock.settle)
    assert {"a", "b"} == set(clock.order) and clock.settled >= 2


def test_parts_of_a_call_are_what_a_call_runs(tool, world, monkeypatch):
    host_callable = launch.host_callable
    monkeypatch.setattr(launch, "host_callable", lambda generated, device: host_callable(generated, GPU))
    kernel, (x, y) = tool["add"], torch.randn(2, 64)
    kernel.reset()
    try:
        for _ in range(4):
            kernel(x, y)
        parts = tool["parts"](kernel, (x, y))
        assert len(parts) == 7 and parts["  recognising the call"]() is True
        launched = len(world.direct.calls)
        for name in ("  allocation: of a known layout", "  allocation: torch.empty_like"):
            assert parts[name]().shape == x.shape
        parts["  host code, nothing launched"]()
        assert parts["  the call as one function, nothing launched"]().shape == x.shape
        assert len(world.direct.calls) == launched
        parts["  the launch function"]()
        parts["  the C function of the launch"]()
        assert len(world.direct.calls) == launched + 2
        assert world.direct.calls[-1] == world.direct.calls[-2] and world.arguments()[:2] == (
            x.data_ptr(),
            y.data_ptr(),
        )
    finally:
        kernel.reset()
