"""On a GPU: what a run measures can be believed."""

import statistics
import time

import pytest

from helion_bench import run as bench
from helion_bench.backends.catalogue import backends
from helion_bench.cases import catalogue
from helion_bench.measure.cuda import CudaDevice
from helion_bench.measure.monitor import monitor
from helion_bench.measure.rounds import interleave
from helion_bench.measure.sampler import Subject, calibrate
from helion_bench.request import Request
from helion_bench.results.model import Status
from helion_bench.run.isolated import Isolated
from helion_bench.run.options import Options

pytestmark = pytest.mark.gpu
METRICS = ("latency", "memory", "host_overhead", "compile_time", "accuracy")
# Shapes with references of a few hundred megabytes: other test processes may use the same GPU.


@pytest.mark.parametrize(
    ("op", "shape", "names"),
    [
        ("softmax", "8192x4096", ("helion", "helion-default", "eager", "compile", "triton")),
        ("matmul", "4096x4096x4096", ("helion", "eager", "compile", "triton")),
        ("attention", "16x16x1024x64-causal", ("helion", "eager", "cudnn", "flash", "triton")),
        ("scaled_mm", "4096x4096x4096", ("eager", "cublas")),
        ("grouped_mm", "groups=16,rows=4096,k=2048,n=1024", ("eager", "cutlass")),
        ("attention_varlen", "32x16x1024x64", ("eager", "flash")),
        ("dropout", "8192x4096", ("helion", "eager")),
    ],
)
def test_backends_are_right_and_timed(op, shape, names):
    run = bench.run(bench.plan(Request((op,), (shape,), (), ("fwd", "bwd"), names, METRICS)), lambda cell: None)
    assert run.complete and run.machine.gpu != "cpu" and run.machine.sm_clock_mhz
    for cell in run.cells:
        if cell.status is Status.SKIPPED:
            continue
        assert cell.status is Status.OK, f"{cell.case.id} {cell.backend}: {cell.reason}"
        assert len(cell.latency.samples) >= 24 and cell.host_overhead_us > 0 and cell.peak_memory_bytes >= 0
        microseconds = statistics.median(cell.latency.samples)
        peaks = run.machine.peaks
        if peaks.gbps:
            assert cell.bytes_moved / microseconds / 1e3 < 1.05 * peaks.gbps, "faster than memory allows"
            top = dict(peaks.tflops).get(cell.case.dtype)
            assert top is None or cell.flops / microseconds / 1e6 < 1.05 * top, "faster than the GPU allows"


def test_two_subjects_that_do_the_same_take_the_same_time():
    import torch

    device = CudaDevice()
    with device.active():
        x = [torch.randn(4096, 4096, device="cuda", dtype=torch.bfloat16) for _ in range(8)]
        subjects = [Subject(name, [lambda t=t: t.mul(2) for t in x]) for name in "ab"]
        for subject in subjects:
            calibrate(device, subject)
        with monitor(device.uuid) as state:
            found = interleave(device, subjects, 12, 5.0, state)
        a, b = (statistics.median(x for group in samples.rounds for x in group) for samples in found)
    assert not any(s.synchronizes for s in subjects) and not any(samples.host_bound for samples in found)
    assert abs(a / b - 1) < 0.03


def test_a_graph_and_events_agree():
    import torch

    device = CudaDevice()
    with device.active():
        x = [torch.randn(2048, 4096, device="cuda", dtype=torch.bfloat16) for _ in range(16)]
        calls = [lambda t=t: torch.softmax(t, -1) for t in x]
        events, graph = Subject("events", calls), Subject("graph", [device.captured(calls)], per_call=len(calls))
        calibrate(device, events)
        calibrate(device, graph)
    assert graph.device_us < 1.1 * events.device_us and events.device_us < graph.device_us + 6.0


def _busy(microseconds, call):
    """A call before which the host is busy for that long."""

    def slow():
        end = time.perf_counter() + microseconds * 1e-6
        while time.perf_counter() < end:
            pass
        return call()

    return slow


def test_time_of_the_host_is_no_part_of_that_of_the_gpu():
    import torch

    device = CudaDevice()
    with device.active():
        x = [torch.randn(4096, 4096, device="cuda", dtype=torch.bfloat16) for _ in range(8)]
        quick = Subject("quick", [lambda t=t: t.mul(2) for t in x])
        slow = Subject("slow", [_busy(400.0, call) for call in quick.calls])
        for subject in (quick, slow):
            calibrate(device, subject)
        with monitor(device.uuid) as state:
            found = interleave(device, [quick, slow], 12, 5.0, state)
    a, b = (statistics.median(x for group in samples.rounds for x in group) for samples in found)
    assert not any(samples.host_bound for samples in found) and abs(a / b - 1) < 0.05
    assert 400.0 < slow.host_us < 480.0 and quick.host_us < 60.0


def test_calls_that_wait_for_the_gpu_are_host_bound():
    import torch

    device = CudaDevice()
    with device.active():
        x = torch.randn(1 << 20, device="cuda")
        subject = Subject("waits", [lambda: x.sum().item()])
        calibrate(device, subject)
        with monitor(device.uuid) as state:
            (samples,) = interleave(device, [subject], 8, 2.0, state)
    assert subject.synchronizes and samples.host_bound and all(samples.rounds)


def test_a_backward_pass_takes_as_long_in_a_graph():
    import torch

    device = CudaDevice()
    with device.active():
        x = torch.randn(8192, 4096, device="cuda", dtype=torch.bfloat16, requires_grad=True)
        weight, bias = (torch.randn(4096, device="cuda", dtype=torch.bfloat16, requires_grad=True) for _ in range(2))
        y = torch.nn.functional.layer_norm(x, (4096,), weight, bias)
        gradient = torch.randn_like(y)
        calls = [lambda: torch.autograd.grad(y, [x, weight, bias], gradient, retain_graph=True)]
        events, graph = Subject("events", calls), Subject("graph", [device.captured(calls * 8)], per_call=8)
        for subject in (events, graph):
            calibrate(device, subject)
    assert abs(graph.device_us / events.device_us - 1) < 0.1


def test_memory_is_that_of_the_result():
    import torch

    device = CudaDevice()
    with device.active():
        x = torch.randn(1 << 20, device="cuda")
        assert device.peak_bytes(lambda: x + 1) == 4 << 20


def test_an_illegal_access_costs_its_own_cell(plugins):
    options = Options(rounds=8, case_seconds=0.5, step_seconds=60.0)
    with Isolated(backends(["good", "faults", "eager"]), options, "cuda") as runner:
        cells = list(runner.cells(catalogue.cases(["double"], shapes=["4x8"], passes=["fwd"])))
    assert {c.backend: c.status for c in cells} == {"good": Status.OK, "faults": Status.ERROR, "eager": Status.OK}
    assert "illegal" in next(c.reason for c in cells if c.backend == "faults").lower()


def test_cases_checked_side_by_side_take_no_longer_than_one_alone(plugins):
    cases = catalogue.cases(["softmax"], shapes=["8192x4096"])
    medians = []
    for processes in (1, 2):
        options = Options(
            metrics=frozenset({"latency", "compile_time"}), processes=processes, at_once=processes, rounds=8
        )
        with Isolated(backends(["helion", "compile"]), options, "cuda") as runner:
            cells = list(runner.cells(cases))
        assert len(cells) == 4 and all(c.status is Status.OK and c.compile_seconds > 0.05 for c in cells)
        assert all(c.latency.sm_mhz and dict(c.spent)["rounds"] < 10 for c in cells)
        medians.append([statistics.median(c.latency.samples) for c in cells])
    assert all(abs(a / b - 1) < 0.05 for a, b in zip(*medians, strict=True))
