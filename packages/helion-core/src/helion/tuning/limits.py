"""Rules that reject candidates before they are compiled: what certainly does not fit the target, or would only spill.

Huge tiles are not merely slow: they keep a compiler busy for a minute.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .. import ir
from ..emit.ranges import MOST_UNROLLED
from ..lower import limits
from ..lower.layout import Layout, tiles_of
from ..lower.space import to_config
from ..lower.structure import constant_loops, device_loops
from ..lower.transform import transformed

if TYPE_CHECKING:
    from ..lower.spec import ConfigSpec
    from ..runtime.targets import Target

_SHARED_SLACK = 1.1  # the estimate counts buffers that Triton may not need
_BESIDE_ACCUMULATORS = 26  # registers that ptxas wants for wgmma on top of them; it refuses to spill these
_REGISTERS = 65536  # of a multiprocessor, all of whose threads one program may be
_TENSOR_MEMORY = 100  # the first architecture that accumulates there
_MOST_LANES = 128  # of one value in one thread
_MOST_LANES_WITH_PRODUCTS = 256  # operands of products are in shared memory
_MOST_UNROLLED_WORK = 65536  # multiply-adds of one thread in a loop body; ptxas takes 20 s for four times as many
_LOOPS = ("static_ranges", "range_unroll_factors", "range_num_stages")
_SHAPING = ("block_sizes", "reduction_loops", "flatten_loops", "epilogue_subtile")  # keys that change sizes of values


class Limits:
    """Remembers verdicts by what they depend on, for searches ask of thousands of points."""

    def __init__(self, spec: ConfigSpec, target: Target) -> None:
        self._spec, self._target = spec, target
        products = any(isinstance(op, (ir.Dot, ir.DotScaled)) for op in spec.program.ops())
        self._most_lanes = _MOST_LANES_WITH_PRODUCTS if products else _MOST_LANES
        self._lanes: dict[str, int] = {}
        self._known: dict[tuple[Any, ...], str | None] = {}

    def allow(self, point: Mapping[str, Any]) -> str | None:
        """Why `point` cannot work on the target, or None."""
        shape = repr([point.get(name) for name in _SHAPING])
        loops = repr([point.get(name) for name in _LOOPS])
        share, cap = self._share(point), self._cap(point)
        if cap is not None and cap > share:
            return "threads with that many registers are more than a multiprocessor has"
        key = (shape, loops, point.get("num_warps", 4), point.get("num_stages", 2), min(share, cap or share))
        if key not in self._known:
            self._known[key] = self._reason(point, shape, *key[2:])
        return self._known[key]

    def _share(self, point: Mapping[str, Any]) -> int:
        """Registers that a thread can have where one program has a multiprocessor to itself."""
        target = self._target
        if target.backend != "cuda":
            return target.registers
        return min(target.registers, _REGISTERS // (point.get("num_warps", 4) * target.warp_size))

    def _cap(self, point: Mapping[str, Any]) -> int | None:
        """Registers that a thread may have, by a key that persistent programs alone are compiled with."""
        return point.get("maxnreg") if str(point.get("pid_type", "")).startswith("persistent") else None

    def _reason(self, point: Mapping[str, Any], shape: str, warps: int, stages: int, registers: int) -> str | None:
        if shape not in self._lanes:
            self._lanes[shape] = self._largest_value(point)
        lanes = self._lanes[shape]
        if lanes > limits.MAX_LANES:
            return "a value has more lanes than Triton allows"
        if lanes > self._most_lanes * warps * self._target.warp_size:
            return "a value has more lanes than its threads have registers"
        program = self._spec.program
        layout = Layout(program, dict(zip(program.blocks, point.get("block_sizes", ()), strict=True)))
        shared = limits.shared_bytes(program, layout, stages, warps, self._target, self._pipelines(point))
        if shared > _SHARED_SLACK * self._target.shared_memory:
            return "operands in flight exceed shared memory"
        accumulators = limits.accumulator_registers(program, layout, warps, self._target.warp_size)
        if accumulators > self._for_accumulators(registers):
            return "accumulators exceed the registers"
        work = self._unrolled_work(point, layout) // (warps * self._target.warp_size)
        return "unrolled products would compile for too long" if work > _MOST_UNROLLED_WORK else None

    def _for_accumulators(self, registers: int) -> int:
        """How many of so many registers the accumulators of products may take."""
        if self._target.backend == "cuda" and int(self._target.arch) < _TENSOR_MEMORY:
            return registers - _BESIDE_ACCUMULATORS
        return self._target.registers

    def _pipelines(self, point: Mapping[str, Any]) -> dict[int, limits.Pipeline]:
        """What `point` says of loops, by their numbers; each copy of a body keeps stages of its own."""
        loops = device_loops(self._spec.program)
        stages, copies = (point.get(name, [0] * len(loops)) for name in ("range_num_stages", "range_unroll_factors"))
        pairs = zip(loops, stages, copies, strict=True)
        return {loop.number: limits.Pipeline(deep, max(1, many)) for loop, deep, many in pairs}

    def _unrolled_work(self, point: Mapping[str, Any], layout: Layout) -> int:
        """Multiply-adds in the code of the loop that has most of them, copies of its body counted."""
        program = self._spec.program
        copies = dict.fromkeys((loop.number for loop in device_loops(program)), 1)
        for loop, factor in zip(device_loops(program), point.get("range_unroll_factors", ()), strict=False):
            copies[loop.number] = max(1, factor)
        for loop, static in zip(constant_loops(program), point.get("static_ranges", ()), strict=False):
            count = tiles_of(loop.range, layout)
            if static and count is not None and count <= MOST_UNROLLED:
                copies[loop.number] = count
        return max((copies[x.number] * limits.multiply_adds(x.body, layout) for x in device_loops(program)), default=0)

    def _largest_value(self, point: Mapping[str, Any]) -> int:
        """Lanes of the largest value, with reductions rolled into loops as `point` says."""
        try:
            config = to_config(self._spec, dict(point))
            program, _ = transformed(self._spec.program, config)
        except Exception:  # its own evaluation will say what is wrong with it
            return 0
        sizes = dict(zip(self._spec.program.blocks, config.get("block_sizes", ()), strict=True))
        layout = Layout(program, sizes)
        values = {id(v): v for op in program.ops() for v in (*op.inputs, *op.results)}
        return max((math.prod(layout.physical_shape(v)) for v in values.values()), default=1)
