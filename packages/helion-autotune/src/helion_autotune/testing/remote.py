"""The hostile problem as one function per point, for evaluators that run whole points elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from helion_autotune.errors import WorkerCrashed
from helion_autotune.testing import hostile

if TYPE_CHECKING:
    from helion_autotune.points import Point


def evaluate_point(context: dict[str, Any] | None, point: Point, best_ms: float | None) -> dict[str, Any]:
    """Compile and measure. Points that hang or crash only say so, unless the context has ``really``."""
    options = context or {}
    if hostile.fate(point) in ("hang", "crash") and not options.get("really"):
        raise WorkerCrashed("would hang or crash")
    hostile.compile_point({"point": point})
    measured = hostile.measure_point(point, best_ms)
    return {"milliseconds": options.get("scale", 1.0) * measured["milliseconds"], "facts": {"evaluated": True}}


def interleave(context: dict[str, Any] | None, points: list[Point]) -> list[float | None]:
    """The play-off of finalists."""
    scale = (context or {}).get("scale", 1.0)
    return [scale * hostile.true_milliseconds(point) for point in points]
