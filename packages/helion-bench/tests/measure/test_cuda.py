"""The order of what is asked of a GPU, on one that is not there."""

import itertools

import pytest
import torch

from helion_bench.measure import cuda


@pytest.fixture
def gpu(monkeypatch):
    """A device, a log of what is queued, and its events: `reached` are those that the GPU comes to at once."""

    class Event:
        numbers = itertools.count()
        reached = frozenset()

        def __init__(self, enable_timing):
            assert enable_timing
            self.number = next(self.numbers)

        def record(self):
            log.append(f"event {self.number}")

        def query(self):
            return self.number in self.reached

        def elapsed_time(self, other):
            assert log[-1] == "synchronized", "times are known once the GPU is done"
            return (other.number - self.number) / 1000

    log = []
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "_sleep", lambda cycles: log.append(f"pause {cycles}"))
    device = object.__new__(cuda.CudaDevice)
    monkeypatch.setattr(device, "synchronize", lambda: log.append("synchronized"), raising=False)
    return device, log, Event


def test_calls_stand_between_events_behind_a_pause_and_each_tells_whether_the_gpu_had_come_to_it(gpu):
    device, log, events = gpu
    events.reached = {2}  # the first event of the second call
    calls = [lambda k=k: log.append(f"call {k}") for k in range(3)]
    timed = device.timed(calls, 50.0)
    assert log == [
        "pause 90000", "event 0", "call 0", "event 1", "event 2", "call 1", "event 3", "event 4", "call 2", "event 5",
        "synchronized",
    ]  # fmt: skip
    assert timed.times == (1.0, 1.0, 1.0) and timed.waited == (False, True, False) and timed.host_us > 0


def test_host_time_is_a_median_behind_short_queues_and_leaves_out_the_first(gpu, monkeypatch):
    device, log, _ = gpu
    now = [0.0]
    monkeypatch.setattr(cuda.time, "perf_counter", lambda: now[0])

    def call():
        cold = log.count("call") < 4
        now[0] += 1e-3 if cold else 300e-6 if log[-1] == "synchronized" else 200e-6
        log.append("call")

    assert device.host_us([call]) == pytest.approx(200.0)
    queues = [len(list(group)) for name, group in itertools.groupby(log) if name == "call"]
    assert set(queues) == {4} and len(queues) == 3, "the least there is: it took longer than it should"


def test_host_time_takes_milliseconds(gpu, monkeypatch):
    device, log, _ = gpu
    now = [0.0]
    monkeypatch.setattr(cuda.time, "perf_counter", lambda: now[0])

    def call(us):
        now[0] += us * 1e-6
        log.append("call")

    assert device.host_us([lambda: call(20.0), lambda: call(22.0)]) == pytest.approx(21.0)
    assert log.count("call") == 4 * 17 and now[0] < 4e-3
