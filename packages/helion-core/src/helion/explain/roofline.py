"""The shortest time that a GPU's figures allow for a given amount of work."""

from __future__ import annotations

from dataclasses import dataclass

from .gpus import Gpu
from .work import Work


@dataclass(frozen=True)
class Roofline:
    """Seconds that each part takes alone; `bound` names the longest, `seconds` is it."""

    memory: float
    matrix: float
    vector: float

    @property
    def seconds(self) -> float:
        return max(self.memory, self.matrix, self.vector)

    @property
    def bound(self) -> str:
        times = {"memory": self.memory, "matrix units": self.matrix, "vector units": self.vector}
        return max(times, key=lambda name: times[name])


def roofline(work: Work, gpu: Gpu) -> Roofline:
    """Every distinct byte moves once, at full bandwidth; the units compute at their peaks, all at the same time."""
    matrix = sum(flops / gpu.peak[kind] for kind, flops in work.matrix.items() if kind != "float32")
    vector = (work.vector + work.matrix.get("float32", 0)) / gpu.peak["float32"]
    return Roofline((work.read + work.written) / gpu.bandwidth, matrix, vector)
