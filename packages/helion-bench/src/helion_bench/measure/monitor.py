"""What the driver says of a GPU while it is measured: by nvidia-ml-py where it is installed, else by nvidia-smi."""

from __future__ import annotations

import contextlib
import importlib
import subprocess
import threading
from collections.abc import Callable, Iterator
from typing import Any

from .throttle import State

_FIELDS = {  # of nvidia-smi, and the bit of NVML's mask of reasons
    "hw_slowdown": 0x08,
    "sw_thermal_slowdown": 0x20,
    "hw_thermal_slowdown": 0x40,
    "hw_power_brake_slowdown": 0x80,
}
_PERIOD_MS = 100


@contextlib.contextmanager
def monitor(uuid: str) -> Iterator[Callable[[], State]]:
    """Gives a function that tells the state of the GPU with that uuid; it tells nothing where no tool answers."""
    nvml = _nvml(uuid)
    if nvml is not None:
        yield nvml
        return
    with _smi(uuid) as state:
        yield state


def _nvml(uuid: str) -> Callable[[], State] | None:
    try:
        pynvml: Any = importlib.import_module("pynvml")
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByUUID(uuid if uuid.startswith("GPU-") else f"GPU-{uuid}")
        mask = getattr(pynvml, "nvmlDeviceGetCurrentClocksEventReasons", None)
        mask = mask or pynvml.nvmlDeviceGetCurrentClocksThrottleReasons
        mask(handle)
    except Exception:  # not installed, no driver, an old driver: there is another way
        return None

    def state() -> State:
        bits = mask(handle)
        clock = pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM)
        return State(frozenset(name for name, bit in _FIELDS.items() if bits & bit), float(clock))

    return state


@contextlib.contextmanager
def _smi(uuid: str) -> Iterator[Callable[[], State]]:
    """One nvidia-smi that reports all the time, read by a thread; a query each time would take longer than a round."""
    fields = ",".join(["clocks.sm", *(f"clocks_throttle_reasons.{name}" for name in _FIELDS)])
    command = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader,nounits", f"--loop-ms={_PERIOD_MS}"]
    command.append(f"--id={uuid if uuid.startswith('GPU-') else f'GPU-{uuid}'}")
    latest = [State()]
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    except OSError:
        yield lambda: State()
        return

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            latest[0] = parsed(line)

    threading.Thread(target=read, name="nvidia-smi", daemon=True).start()
    try:
        yield lambda: latest[0]
    finally:
        process.kill()
        process.wait()


def parsed(line: str) -> State:
    """A line of nvidia-smi; what it does not know is left out."""
    clock, *flags = [part.strip() for part in line.split(",")]
    reasons = frozenset(name for name, flag in zip(_FIELDS, flags, strict=False) if flag == "Active")
    try:
        return State(reasons, float(clock))
    except ValueError:
        return State(reasons)
