"""A GPU that is not there: what the loader asks torch and the driver is answered by stand-ins."""

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from helion.export import loader

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER))
STREAM = 77


@pytest.fixture(scope="session")
def libcuda(tmp_path_factory):
    """A shared library that records calls, or a skip where there is no C compiler."""
    path = tmp_path_factory.mktemp("driver") / "libfakecuda.so"
    try:
        subprocess.run(["cc", "-shared", "-fPIC", "-o", path, FOLDER / "fake_cuda.c"], check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no C compiler")
    return path


@pytest.fixture
def gpu(monkeypatch):
    """Tensors on the CPU count as tensors on GPU 0 of the architecture that the fixture's value names."""
    found = {"target": "sm_90"}
    monkeypatch.setattr(loader, "device_index", lambda tensor: 0)
    monkeypatch.setattr(loader, "device_target", lambda index: found["target"])
    monkeypatch.setattr(loader, "device_context", lambda index: contextlib.nullcontext())
    monkeypatch.setattr(loader, "current_stream", lambda index: STREAM)
    monkeypatch.setattr(loader, "multiprocessors", lambda index: 4)
    monkeypatch.setattr(loader, "_drivers", {})
    return found


@pytest.fixture
def calls(gpu, libcuda, tmp_path, monkeypatch):
    """`calls(*sizes)` sets the sizes of the kernel's parameters; `calls.read()` gives what the driver was asked."""
    log = tmp_path / "calls.jsonl"
    monkeypatch.setenv("FAKE_CUDA_LOG", str(log))
    for backend in ("cuda", "hip"):
        monkeypatch.setitem(loader.LIBRARIES, backend, str(libcuda))

    def sizes(*given):
        monkeypatch.setenv("FAKE_CUDA_SIZES", ",".join(map(str, given)))

    sizes.read = lambda: [json.loads(line) for line in log.read_text().splitlines()]
    return sizes
