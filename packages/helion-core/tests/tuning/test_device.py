"""The process that measures, on the CPU: kernels are stood in for by functions, the clock by a number."""

from __future__ import annotations

import pytest
import torch

from helion.lower.effects import Effects
from helion.tuning import device
from helion.tuning.arguments import describe, save
from helion_autotune.errors import DeviceFault, LaunchError, WrongResult


class Clock:
    def __init__(self, *_):
        pass

    def measure(self, launch, best_ms):
        launch()
        return 2.0, best_ms is not None and best_ms < 0.5

    def interleave(self, launches):
        return [float(k + 1) for k, _ in enumerate(launches)]


@pytest.fixture
def held(tmp_path, monkeypatch):
    """Arguments x, out, loaded; `request(kernel)` is a candidate that runs `kernel(x, out)`."""
    kernels = {}

    def launcher(request, arguments):
        kernel = kernels[request["name"]]
        return lambda: kernel(*arguments.values)

    def request(kernel, path="a.pt"):
        name = str(len(kernels))
        kernels[name] = kernel
        return {"name": name, "launch": {"arguments": str(tmp_path / path)}}

    x = torch.randn(1000)
    for path in ("a.pt", "b.pt"):
        values = [x, torch.empty(1000)]
        save(tmp_path / path, *describe(values, Effects(frozenset({0}), frozenset({1}))))
    monkeypatch.setattr(device, "_device", torch.device("cpu"))
    monkeypatch.setattr(device, "_launcher", launcher)
    monkeypatch.setattr(device, "Clock", Clock)
    monkeypatch.setattr(device, "_held", None)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda *_: None)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda *_: None)
    yield request
    device.release()


def double(x, out):
    torch.mul(x, 2, out=out)


def test_a_right_candidate(held):
    reference = held(double)
    assert device.load(reference["launch"]["arguments"], reference) == ""
    assert device.measure(held(double), None, True) == {"milliseconds": 2.0, "facts": {}}
    assert device.measure(held(double), 0.1, True)["facts"] == {"cut": True}


def test_wrong_unwritten_and_stray(held):
    reference = held(double)
    device.load(reference["launch"]["arguments"], reference)

    def half(x, out):
        torch.mul(x[:500], 2, out=out[:500])

    def stray(x, out):
        double(x, out)
        x[3] += 1

    with pytest.raises(WrongResult, match="500 of 1000"):
        device.measure(held(half), None, True)
    assert device.measure(held(half), None, False)["milliseconds"] == 2.0
    with pytest.raises(DeviceFault, match="does not write"):
        device.measure(held(stray), None, True)


def test_errors_of_launches(held):
    def fails(text):
        def kernel(x, out):
            raise RuntimeError(text)

        return kernel

    reference = held(double)
    device.load(reference["launch"]["arguments"], reference)
    with pytest.raises(LaunchError, match="out of resource"):
        device.measure(held(fails("out of resource: shared memory, Hardware limit: 232448")), None, True)

    def too_large(x, out):
        from triton.runtime.errors import OutOfResources

        raise OutOfResources(70000, 65536, "registers")

    with pytest.raises(LaunchError, match="registers"):
        device.measure(held(too_large), None, True)
    with pytest.raises(DeviceFault, match="illegal"):
        device.measure(held(fails("Triton Error [CUDA]: an illegal memory access was encountered")), None, True)


def test_without_a_working_reference_outputs_are_not_checked(held):
    def broken(x, out):
        raise RuntimeError("out of resource")

    reference = held(broken)
    assert "out of resource" in device.load(reference["launch"]["arguments"], reference)
    assert device.measure(held(lambda x, out: None), None, True)["milliseconds"] == 2.0


def test_other_arguments_must_be_loaded_first(held):
    device.load(held(double)["launch"]["arguments"], None)
    with pytest.raises(RuntimeError, match="not loaded"):
        device.measure(held(double, "b.pt"), None, True)
    assert device.interleave([held(double), held(double, "b.pt"), held(double)]) == [1.0, None, 2.0]
