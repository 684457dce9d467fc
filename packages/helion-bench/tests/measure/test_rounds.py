import contextlib
import importlib.util
from pathlib import Path

import pytest

from helion_bench.measure.rounds import LEAST, WARM_UP_US, interleave, order
from helion_bench.measure.sampler import (
    HOST_US,
    LARGEST,
    SMALLEST,
    Subject,
    batch,
    batch_size,
    calibrate,
    pause_us,
)
from helion_bench.measure.throttle import State

_spec = importlib.util.spec_from_file_location("_fake_device", Path(__file__).with_name("fake.py"))
fake = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(fake)


def constant(name, us, **keywords):
    return Subject(name, [lambda: us], device_us=us, host_us=5.0, **keywords)


def run(subjects, states=None, rounds=10, seconds=1e9, device=None, **keywords):
    device = device or fake.FakeDevice()
    states = iter(states) if states else None
    state = (lambda: next(states)) if states else State
    return interleave(device, subjects, rounds, seconds, state, clock=lambda: device.now * 1e-6, **keywords)


@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_every_round_has_everybody_once_and_nobody_is_always_first(count):
    rounds = [order(count, turn) for turn in range(2 * count)]
    assert all(sorted(r) == list(range(count)) for r in rounds)
    assert {r[0] for r in rounds} == set(range(count)) == {r[-1] for r in rounds}


def test_samples_come_by_round_and_the_first_of_a_batch_is_not_counted():
    ticks = iter(range(10**6))
    slow_first = Subject("a", [lambda: 100.0 if next(ticks) % batch_size(100.0, 5.0) == 0 else 50.0])
    slow_first.device_us, slow_first.host_us = 100.0, 5.0
    (samples,) = run([slow_first])
    assert len(samples.rounds) == 10
    assert all(times and set(times) == {50.0} for times in samples.rounds)


def test_subjects_are_measured_in_turn():
    seen = []
    run([constant("a", 10.0), constant("b", 20.0)], before=lambda s: seen.append(s.name))
    assert all(set(seen[k : k + 2]) == {"a", "b"} for k in range(0, len(seen), 2)) and len(seen) > 20


def test_throttled_rounds_are_left_out_for_all_and_keep_their_place():
    hot = State(frozenset({"hw_thermal_slowdown"}), 1980.0)
    fine = State(frozenset(), 1980.0)
    states = [fine] * 4 + [hot] + [fine] * 6
    a, b = run([constant("a", 1000.0), constant("b", 2000.0)], states)
    for samples in (a, b):
        assert [bool(r) for r in samples.rounds] == [True] * 3 + [False] * 2 + [True] * 5
        assert samples.dropped > 0 and samples.dropped == 2 * len(samples.rounds[0])


def test_rounds_at_a_clock_far_below_the_usual_are_left_out():
    states = [State(sm_mhz=1980.0)] * 8 + [State(sm_mhz=1200.0)] + [State(sm_mhz=1980.0)] * 2
    (samples,) = run([constant("a", 1000.0)], states)
    assert [k for k, r in enumerate(samples.rounds) if not r] == [7, 8]


def test_a_gpu_at_its_power_limit_is_measured():
    states = [State(frozenset({"sw_power_cap"}), 1400.0)] * 11
    (samples,) = run([constant("a", 1000.0)], states)
    assert samples.dropped == 0 and all(samples.rounds)


def test_time_runs_out_no_sooner_than_enough_rounds_are_there():
    (samples,) = run([constant("a", 1e6)], rounds=100, seconds=0.0)
    assert len(samples.rounds) == LEAST


def test_a_subject_that_raises_is_left_out_and_the_rest_goes_on():
    calls = iter(range(10**6))

    def breaks():
        if next(calls) > 200:
            raise RuntimeError("device lost its mind")
        return 1000.0

    good, bad = run([constant("good", 1000.0), Subject("bad", [breaks], device_us=1000.0)], rounds=40)
    assert str(bad.failure) == "device lost its mind"
    assert good.failure is None and len(good.rounds) == 40


@pytest.mark.parametrize("us", [20.0, 500.0, 50_000.0])
def test_clocks_settle_before_the_first_round_and_no_longer_than_that_takes(us):
    device = fake.FakeDevice()
    begun = []
    subjects = [constant("a", us), constant("b", 2 * us)]
    interleave(device, subjects, 8, 1e9, lambda: begun.append(device.now) or State(), clock=lambda: device.now * 1e-6)
    assert WARM_UP_US / 2 < begun[0] < max(2 * WARM_UP_US, 10 * 3 * us)


def test_every_call_happens_while_its_backend_is_active():
    active = []

    @contextlib.contextmanager
    def switch(name):
        active.append(name)
        yield
        active.pop()

    def call(name):
        assert active == [name]
        return 10.0

    subjects = [Subject(n, [lambda n=n: call(n)], active=lambda n=n: switch(n)) for n in "ab"]
    for subject in subjects:
        calibrate(fake.FakeDevice(), subject)
    assert all(s.failure is None for s in run(subjects))


def test_calls_work_on_the_copies_of_the_inputs_in_turn():
    seen = []
    copies = [lambda k=k: seen.append(k) or 10.0 for k in range(3)]
    subject = Subject("a", copies)
    batch(fake.FakeDevice(), subject, 4)
    batch(fake.FakeDevice(), subject, 4)
    assert seen == [0, 1, 2, 0, 1, 2, 0, 1]


def test_the_pause_covers_the_queueing_or_grows_until_it_does():
    device = fake.FakeDevice(host=200.0)
    subject = constant("a", 10.0)  # it was calibrated when the host was quicker
    found = batch(device, subject, 5)
    assert found.times == [10.0] * 4 and not found.host_bound
    assert [pause for _, pause in device.log] == [pause_us(5, 5.0), pause_us(5, 200.0 * 1.5)]
    batch(device, subject, 5)
    assert len(device.log) == 3, "what was learned is kept"


@pytest.mark.parametrize("host", [330.0, 1100.0, 6000.0])
def test_a_slow_host_is_no_part_of_the_times_of_short_calls(host):
    """The backward pass of a norm: 86 µs on the GPU, several times as long on the host."""
    subject = Subject("a", [lambda: 86.0])
    device = fake.FakeDevice(host)
    calibrate(device, subject)
    assert subject.device_us == 86.0 and subject.host_us == host and not subject.synchronizes
    (samples,) = run([subject], device=device)
    assert all(set(times) == {86.0} for times in samples.rounds) and not samples.host_bound
    assert all(count * host <= max(HOST_US, SMALLEST * host) for count, _ in device.log), "no batch keeps the host long"


def test_calls_that_wait_for_the_gpu_are_told_of_and_not_waited_for():
    """Whatever the pause: the host begins the next call once this one is done."""
    device = fake.FakeDevice(host=40.0, depth=1)
    subject = Subject("a", [lambda: 10.0])
    waiting = device.timed
    device.timed = lambda calls, pause: waiting(calls, 0.0)  # the pause, too, is waited for
    calibrate(device, subject)
    assert subject.synchronizes
    (samples,) = run([subject], device=device)
    assert samples.host_bound and all(set(times) == {50.0} for times in samples.rounds)
    assert len(samples.rounds[0]) == batch_size(50.0, 40.0) - 1


def test_a_queue_that_is_full_keeps_the_host_waiting_but_not_the_gpu():
    device = fake.FakeDevice(host=30.0, depth=3)
    subject = Subject("a", [lambda: 100.0])
    calibrate(device, subject)
    (samples,) = run([subject], device=device)
    assert not samples.host_bound and all(set(times) == {100.0} for times in samples.rounds)


def test_a_call_in_which_the_host_stumbles_is_left_out():
    device = fake.FakeDevice(host=lambda queued: 50_000.0 if queued % 7 == 6 else 5.0)
    found = batch(device, Subject("a", [lambda: 10.0]), 7)
    assert found.times and set(found.times) == {10.0} and not found.host_bound


@pytest.mark.parametrize(("bad", "bound"), [(3, False), (8, True)])
def test_rounds_in_which_the_host_was_late_are_left_out_unless_they_are_most(bad, bound):
    subject = constant("a", 1000.0)
    device = fake.FakeDevice()
    begun = []

    def state():
        begun.append(None)
        device.host = lambda queued: 1e6 if len(begun) <= bad else 5.0  # which no pause is long enough for
        return State()

    (samples,) = interleave(device, [subject], 12, 1e9, state, clock=lambda: device.now * 1e-6)
    assert samples.host_bound is bound and samples.dropped == 0 and len(samples.rounds) == 12
    assert [bool(times) for times in samples.rounds] == [bound or k >= bad for k in range(12)]


def test_a_graph_of_many_calls_gives_the_time_of_one():
    device = fake.FakeDevice()
    graph = Subject("a", [device.captured([lambda: 7.0] * 16)], per_call=16)
    calibrate(device, graph)
    assert graph.device_us == pytest.approx(7.0) and batch(device, graph, 4).times == pytest.approx([7.0] * 3)


@pytest.mark.parametrize(
    ("us", "host", "count"),
    [(1.0, 1.0, LARGEST), (1000.0, 1.0, 7), (1e6, 1.0, SMALLEST), (0.0, 0.0, LARGEST), (86.0, 1000.0, 20),
     (86.0, 1e5, SMALLEST)],
)  # fmt: skip
def test_a_batch_fills_its_time_within_bounds(us, host, count):
    assert batch_size(us, host) == count
