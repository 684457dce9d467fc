import subprocess
import sys
import types

import pytest

from helion_bench.measure import machine as m
from helion_bench.measure.monitor import monitor, parsed
from helion_bench.measure.peaks import peaks
from helion_bench.measure.throttle import State, throttled


@pytest.mark.parametrize(
    ("name", "gbps", "bfloat16"),
    [
        ("NVIDIA H100 80GB HBM3", 3352.0, 989.4),
        ("NVIDIA H100 PCIe", 2039.0, 756.0),
        ("NVIDIA H200", 4800.0, 989.4),
        ("NVIDIA A100-SXM4-80GB", 2039.0, 312.0),
        ("NVIDIA A100 80GB PCIe", 1935.0, 312.0),
        ("NVIDIA A100-SXM4-40GB", 1555.0, 312.0),
        ("NVIDIA B200", 8000.0, 2250.0),
        ("AMD Instinct MI300X", 5300.0, 1307.4),
    ],
)
def test_peaks_by_the_name_that_the_driver_gives(name, gbps, bfloat16):
    found = peaks(name)
    assert found.gbps == gbps and dict(found.tflops)["bfloat16"] == bfloat16 and found.source


def test_a_gpu_that_is_not_in_the_table_has_no_peaks():
    assert peaks("NVIDIA GeForce GTX 970").gbps is None


@pytest.mark.parametrize(
    ("line", "state"),
    [
        ("1980, Not Active, Not Active, Not Active, Not Active\n", State(frozenset(), 1980.0)),
        ("9, Active, Not Active, Active, Not Active", State(frozenset({"hw_slowdown", "hw_thermal_slowdown"}), 9.0)),
        ("[N/A], Not Active, Active, [N/A], [N/A]", State(frozenset({"sw_thermal_slowdown"}), None)),
        ("", State()),
    ],
)  # fmt: skip
def test_what_nvidia_smi_says(line, state):
    assert parsed(line) == state


def test_states_without_clocks_decide_nothing():
    assert throttled([State()] * 5) == set()


def test_nvml_is_asked_where_it_is_installed(monkeypatch):
    reasons = iter([0x0, 0x04, 0x40 | 0x04])  # nothing; power cap; thermal slowdown
    fake = types.ModuleType("pynvml")
    fake.NVML_CLOCK_SM = 1
    fake.nvmlInit = lambda: None
    fake.nvmlDeviceGetHandleByUUID = lambda uuid: uuid
    fake.nvmlDeviceGetClockInfo = lambda handle, kind: 1755
    fake.nvmlDeviceGetCurrentClocksThrottleReasons = lambda handle: next(reasons)
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    with monitor("abc") as state:
        assert state() == State(frozenset(), 1755.0)
        assert state() == State(frozenset({"hw_thermal_slowdown"}), 1755.0)


def test_without_any_tool_nothing_is_known(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    monkeypatch.setattr(subprocess, "Popen", _absent)
    with monitor("abc") as state:
        assert state() == State()


def _absent(*arguments, **keywords):
    raise FileNotFoundError("nvidia-smi")


def test_the_fingerprint_of_a_machine_without_a_gpu():
    found = m.machine("cpu")
    assert found.gpu == "cpu" and found.cpu_count and found.system and found.peaks.gbps is None
    software = m.software()
    assert software.torch and software.triton and software.helion


def test_fields_of_a_tool_that_is_not_there_are_unknown(monkeypatch):
    monkeypatch.setattr(m, "_output", lambda command: "")
    assert m._query("uuid") == [""] * 5 and m._whole("") is None
    monkeypatch.setattr(m, "_output", lambda command: "535.1, 700.00, 1980, 1980, [N/A]\n")
    assert [m._whole(x) for x in m._query("")[1:]] == [700, 1980, 1980, None]
