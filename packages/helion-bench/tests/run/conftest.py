from pathlib import Path

import pytest

from helion_bench.run.options import Options

DEVICE = "bench_plugins:FakeDevice"


@pytest.fixture
def plugins(monkeypatch):
    """Installs the plug-in beside these tests, for this process and for those that it starts."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "plugins"))


@pytest.fixture
def options():
    metrics = frozenset({"latency", "host_overhead", "memory", "compile_time"})
    return Options(DEVICE, metrics, rounds=8, case_seconds=0.5, step_seconds=6.0)
