import sys
from pathlib import Path

import pytest

from helion.runtime import launch, stream
from helion.runtime.targets import parse_target

sys.path.insert(0, str(Path(__file__).parent))

from machine import World, packed, unpacked


@pytest.fixture(params=[packed, unpacked], ids=["triton3.7", "triton3.6"])
def world(request, monkeypatch):
    made = World(request.param)
    monkeypatch.setattr(launch, "compile_kernel", made.compile_kernel)
    monkeypatch.setattr(launch, "device_target", lambda device: parse_target("sm_90"))
    monkeypatch.setattr(stream, "current", lambda index: 77)
    monkeypatch.setattr(stream, "current_device", lambda: made.device)
    return made
