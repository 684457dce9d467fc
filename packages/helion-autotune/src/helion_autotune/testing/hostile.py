"""A tuning problem whose candidates do all that candidates do: not compile, hang, crash, fault, compute nonsense.

A compile and a measure function for :class:`~helion_autotune.evaluate.PipelineEvaluator`, importable by clean
workers, and deterministic: :func:`fate` says what happens to a point, :func:`best_point` which one must win.
"""

from __future__ import annotations

import math
import os
import signal
import time
from typing import TYPE_CHECKING, Any

from helion_autotune.errors import CompileError, DeviceFault, LaunchError, WrongResult
from helion_autotune.points import Point, digest
from helion_autotune.space import Enum, Integer, PowerOfTwo, SearchSpace

if TYPE_CHECKING:
    from collections.abc import Sequence

FATES = (("compile_error", 0.30), ("hang", 0.05), ("crash", 0.05), ("wrong", 0.05), ("fault", 0.03), ("launch", 0.03))
FOREVER = 3600.0


def space() -> SearchSpace:
    """480 points."""
    return SearchSpace(
        {
            "block": PowerOfTwo(16, 256, 64),
            "warps": PowerOfTwo(1, 8, 4),
            "stages": Integer(1, 6, 2),
            "indexing": Enum(["pointer", "block_ptr", "tensor_descriptor", "gather"]),
        }
    )


def fate(point: Point) -> str:
    """What happens to a point: ``ok`` or a name out of FATES. The default is always ok."""
    if point == space().default():
        return "ok"
    draw = int(digest(["fate", point]), 16) / 16**20
    for name, share in FATES:
        if draw < share:
            return name
        draw -= share
    return "ok"


def true_milliseconds(point: Point) -> float:
    """The time of a point that works."""
    log = 0.2 * (math.log2(point["block"]) - 7) ** 2 + 0.15 * (math.log2(point["warps"]) - 3) ** 2
    log += 0.1 * (point["stages"] - 3) ** 2 - 0.05 * len(point["indexing"]) / 17
    return math.exp(log)


def best_point() -> Point:
    """The fastest point that works."""
    return min((p for p in space().points() if fate(p) == "ok"), key=true_milliseconds)


def assortment() -> list[Point]:
    """The best point among some of every fate: 33 points, of which one in three does not compile or worse."""
    wanted = {"hang": 2, "crash": 3, "compile_error": 8, "wrong": 3, "fault": 2, "launch": 2, "ok": 12}
    best, points = best_point(), []
    for point in space().points():
        name = fate(point)
        if point == best or wanted.get(name, 0) > 0:
            wanted[name] -= point != best
            points.append(point)
    return points


def compile_point(payload: Any) -> dict[str, Any]:
    """The compile function: runs in a worker process, which it may take down."""
    point, what = payload["point"], fate(payload["point"])
    if what == "compile_error":
        raise CompileError(f"error: line {point['block']}: operand does not fit")
    if what == "hang":
        time.sleep(FOREVER)
    if what == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    time.sleep(payload.get("compile_seconds", 0.0))
    return {"binary": digest(point), "facts": {"registers": 8 * point["stages"]}}


def measure_point(point: Point, best_ms: float | None) -> dict[str, Any]:
    """The measure function, for a worker process that may be lost."""
    what = fate(point)
    if what == "wrong":
        raise WrongResult("output 0 differs from the reference: greatest difference 3.5 at [0, 17]")
    if what == "fault":
        raise DeviceFault("an illegal memory access was encountered")
    if what == "launch":
        raise LaunchError("out of resource: shared memory, Required: 262144, Hardware limit: 232448")
    milliseconds = true_milliseconds(point)
    cut = best_ms is not None and milliseconds > 3 * best_ms
    return {"milliseconds": milliseconds, "facts": {"cut": True} if cut else {}}


def interleave_points(points: Sequence[Point]) -> list[float | None]:
    """The play-off of finalists."""
    return [true_milliseconds(point) for point in points]
