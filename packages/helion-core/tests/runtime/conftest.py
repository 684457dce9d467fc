import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import triton

from helion.runtime.launching import launch, straight, stream
from helion.runtime.targets import parse_target

sys.path.insert(0, str(Path(__file__).parent))

from machine import GPU, World, packed, unpacked


@pytest.fixture(params=[packed, unpacked], ids=["triton3.7", "triton3.6"])
def world(request, monkeypatch):
    made = World(request.param)
    monkeypatch.setattr(launch, "compile_kernel", made.compile_kernel)
    monkeypatch.setattr(launch, "device_target", lambda device: parse_target("sm_90"))
    monkeypatch.setattr(stream, "current", lambda index: 77)
    monkeypatch.setattr(stream, "current_device", lambda: made.device)
    monkeypatch.setattr(stream, "has_one_device", lambda: False)
    monkeypatch.setattr(triton.runtime.driver, "_active", SimpleNamespace(utils=made.encoders))
    return made


@pytest.fixture
def calls(world, monkeypatch):
    """How often the host code ran as it is; kernels launch on the machine that is not there."""
    ran: list[str] = []
    host_callable = launch.host_callable

    def counted(generated, device):
        function = host_callable(generated, GPU)
        make = function.straight  # type: ignore[attr-defined]

        def host(*args):
            ran.append(generated.program.name)
            return function(*args)

        host.__kwdefaults__ = function.__kwdefaults__
        host.launcher = launcher = make.args[2]  # type: ignore[attr-defined]
        host.straight = lambda args, constants: (  # type: ignore[attr-defined]
            launcher.latest and straight.straight_call(generated, host, launcher.latest, args, constants)
        )
        return host

    monkeypatch.setattr(launch, "host_callable", counted)
    return ran
