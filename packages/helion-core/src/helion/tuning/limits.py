"""Rules that reject candidates before they are compiled: what certainly does not fit the target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..ir import Program
from ..lower import limits
from ..lower.layout import Layout
from ..runtime.targets import Target

_SHARED_SLACK = 1.3  # the estimate counts buffers that Triton may not need
_MOST_ACCUMULATOR_REGISTERS = 255  # a thread has no more, so that this many would leave none for anything else


class Limits:
    """Remembers verdicts by what they depend on, for searches ask of thousands of points."""

    def __init__(self, program: Program, target: Target) -> None:
        self._program, self._target = program, target
        self._known: dict[tuple[Any, ...], str | None] = {}

    def allow(self, point: Mapping[str, Any]) -> str | None:
        """Why `point` cannot work on the target, or None."""
        rolled = any(loop is not None for loop in point.get("reduction_loops", ()))
        sizes = tuple(point.get("block_sizes", ()))
        key = (sizes, rolled, point["num_warps"], point["num_stages"])
        if key not in self._known:
            self._known[key] = self._reason(*key)
        return self._known[key]

    def _reason(self, sizes: tuple[int, ...], rolled: bool, warps: int, stages: int) -> str | None:
        program, target = self._program, self._target
        layout = Layout(program, dict(zip(program.blocks, sizes, strict=True)))
        if not rolled and limits.largest_value(program, layout) > limits.MAX_LANES:
            return "a value has more lanes than Triton allows"
        if limits.shared_bytes(program, layout, stages) > _SHARED_SLACK * target.shared_memory:
            return "operands in flight exceed shared memory"
        registers = limits.accumulator_registers(program, layout, warps, target.warp_size)
        return "accumulators exceed the registers" if registers > _MOST_ACCUMULATOR_REGISTERS else None
