"""The fingerprint of a run: the machine it took place on and the software it used."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import torch

from ..results.model import Machine, Software
from .peaks import peaks

_QUERY = ("driver_version", "power.limit", "clocks.sm", "clocks.max.sm", "clocks.mem")


def machine(device: str) -> Machine:
    """This machine, with its first GPU if `device` is a GPU."""
    common = {"cpu": _cpu(), "cpu_count": os.cpu_count(), "system": platform.platform()}
    if device == "cpu":
        return Machine(gpu="cpu", **common)
    properties = torch.cuda.get_device_properties(0)
    driver, power, sm, sm_max, memory = _query(gpu_uuid())
    return Machine(
        gpu=properties.name,
        gpu_count=torch.cuda.device_count(),
        compute_capability=f"{properties.major}.{properties.minor}",
        sm_clock_mhz=_whole(sm),
        sm_clock_max_mhz=_whole(sm_max),
        memory_clock_mhz=_whole(memory),
        power_limit_watts=_number(power),
        driver=driver,
        cuda=torch.version.cuda or torch.version.hip or "",
        peaks=peaks(properties.name),
        **common,
    )


def software() -> Software:
    """Versions, and the commit of the checkout that helion-bench lies in, if it lies in one."""
    here = Path(__file__).resolve().parent
    revision = commit(here)
    return Software(
        python=platform.python_version(),
        torch=str(torch.__version__),
        triton=_version("triton"),
        helion=_version("helion-core"),
        commit=revision,
        dirty=bool(revision and _git(here, "status", "--porcelain", "--untracked-files=no")),
    )


def commit(folder: Path) -> str:
    """The commit that is checked out in a folder; empty where there is none."""
    return _git(folder, "rev-parse", "HEAD")


def gpu_uuid() -> str:
    """By which the driver knows the first GPU; empty where torch does not tell."""
    return str(getattr(torch.cuda.get_device_properties(0), "uuid", ""))


def busy() -> int | None:
    """Per cent of the last second or less in which the first GPU was at work; None where nobody tells."""
    return _whole(_query(gpu_uuid(), ("utilization.gpu",))[0])


def _query(uuid: str, wanted: Sequence[str] = _QUERY) -> list[str]:
    """What nvidia-smi says, one text a field; empty ones where it is not there."""
    command = ["nvidia-smi", f"--query-gpu={','.join(wanted)}", "--format=csv,noheader,nounits"]
    command += [f"--id=GPU-{uuid.removeprefix('GPU-')}"] if uuid else []
    text = _output(command).splitlines()
    fields = [part.strip() for part in text[0].split(",")] if text else []
    return fields if len(fields) == len(wanted) else [""] * len(wanted)


def _git(folder: Path, *arguments: str) -> str:
    return _output(["git", "-C", str(folder), *arguments]).strip()


def _output(command: list[str]) -> str:
    """What a command prints; empty if it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _whole(text: str) -> int | None:
    number = _number(text)
    return None if number is None else round(number)
