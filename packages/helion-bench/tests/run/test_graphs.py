"""Which cases are measured in CUDA graphs, and how many calls one holds."""

import importlib.util
from pathlib import Path

import pytest

from helion_bench.measure.sampler import Subject
from helion_bench.run.worker import _captured, _want_graphs

_spec = importlib.util.spec_from_file_location("_fake_device", Path(__file__).parents[1] / "measure" / "fake.py")
fake = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(fake)


def subject(device_us, host_us, copies=1):
    return Subject("a", [lambda: device_us] * copies, device_us=device_us, host_us=host_us)


@pytest.mark.parametrize(
    ("times", "graphs"),
    [
        ([(400.0, 100.0), (300.0, 250.0)], False),
        ([(400.0, 100.0), (140.0, 20.0)], True),  # launches would show in the second
        ([(400.0, 1149.0), (370.0, 465.0)], True),  # the host is longer at it than the GPU
    ],
)
def test_short_calls_and_those_that_keep_the_host_longer_than_the_gpu_are_captured(times, graphs):
    assert _want_graphs([subject(*pair) for pair in times]) is graphs


@pytest.mark.parametrize(
    ("device_us", "copies", "calls"),
    [(10.0, 1, 16), (10.0, 5, 20), (169.0, 1, 15), (400.0, 1, 6), (5000.0, 1, 2), (5000.0, 3, 3), (10.0, 128, 128)],
)
def test_a_graph_has_its_time_and_each_copy_its_turn(device_us, copies, calls):
    device = fake.FakeDevice(host=8.0)
    graph = _captured(device, subject(device_us, 500.0, copies))
    assert graph.per_call == calls and graph.device_us == pytest.approx(device_us) and graph.host_us == 8.0
