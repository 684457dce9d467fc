"""Stands in for `helion.tuning.device` in worker processes: candidates are told by name what to do."""

from __future__ import annotations

import os
import time

from helion_autotune.errors import DeviceFault, LaunchError, WrongResult

_path = None
_started = False
_loads = []


def warm():
    time.sleep(0.2)


def start(index):
    global _started
    _started = True


def load(path, reference):
    global _path
    if not _started:
        raise RuntimeError("not started")
    if reference is not None and reference["name"] == "faults" and path != _path:
        raise DeviceFault("the reference faults")
    _loads.append(path)
    if path == "huge" or (path == "tight" and _loads.count(path) == 1):
        raise LaunchError("CUDA out of memory")
    _path = path
    return ""


def release():
    global _path
    _path = None


def measure(request, best_ms, check):
    if request["launch"]["arguments"] != _path:
        raise RuntimeError("not loaded")
    if request["name"] == "hangs":
        time.sleep(600)
    if request["name"] == "dies":
        os.abort()
    if request["name"] == "faults":
        raise DeviceFault("an illegal memory access")
    if request["name"] == "wrong":
        raise WrongResult("all zeros")
    return {"milliseconds": float(os.getpid()), "facts": {}}


def interleave(requests):
    if any(request["name"] == "dies" for request in requests):
        os.abort()
    return [1.0 for _ in requests]
