"""What GPUs can do at best: a table of vendors' figures, `gpus.json`, each row with its source."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Gpu:
    """One GPU of an architecture.

    `bandwidth`: bytes a second; `peak`: operations a second by kind, of matrix units (half, float8, int8, tf32,
    float64) and of vector units (float32). Per multiprocessor: resident `warps` and `blocks`, 32-bit `registers` of all
    lanes, bytes of `shared_memory`, of which each block takes `reserved_shared_memory` for the system.
    """

    target: str
    name: str
    multiprocessors: int
    bandwidth: float
    peak: Mapping[str, float]
    warps: int
    blocks: int
    registers: int
    shared_memory: int
    reserved_shared_memory: int
    source: str


@functools.cache
def _table() -> dict[str, Gpu]:
    rows = json.loads((Path(__file__).parent / "gpus.json").read_text())
    return {row["target"]: Gpu(**row) for row in rows}


def gpu_for(target: str) -> Gpu | None:
    """The GPU that stands for an architecture; None where the table has none."""
    return _table().get(target)
