"""Whether a config can fit a target: the largest value, shared memory of pipelined products, registers of
accumulators. And what Triton cannot compile for a target in any config.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import sympy
import torch

from .. import exc, ir
from ..ir import BlockSize, Program
from ..location import Location
from .layout import Layout, tiles_of
from .target import Target

MAX_LANES = 1048576  # Triton's limit for one tensor
_ACCUMULATOR_REGISTERS = 160  # of a thread's 255: operands, addresses and the epilogue need the rest
_SMALLEST_SHARED = 65536  # bytes; what an unknown target is taken to have


def most_warps(target: Target | None) -> int:
    """Warps that a program may have: 1024 threads."""
    return 1024 // (target.warp_size if target is not None else 32)


def largest_value(program: Program, layout: Layout, block: BlockSize | None = None) -> int:
    """Lanes of the largest value of the program (of those that are tiled by `block`, where it is given)."""
    values = (value for op in program.ops() for value in (*op.inputs, *op.results))
    if block is not None:
        values = (v for v in values if any(isinstance(s, sympy.Basic) and s.has(block.symbol) for s in v.shape))
    shapes = map(layout.physical_shape, values)
    return max((math.prod(shape) for shape in shapes), default=1)


@dataclass(frozen=True)
class Pipeline:
    """What a config says of a loop: stages (0: as many as the kernel has, for operands of products alone), and how many
    copies of its body there are.
    """

    stages: int = 0
    copies: int = 1


@dataclass(frozen=True)
class _Buffers:
    """Counts bytes of shared memory. `fed`: the values that products read from there, and for how long.

    Loads of a loop with s stages are s - 1 steps ahead; a product that is left running needs its operands for one more.
    """

    layout: Layout
    stages: int
    loops: Mapping[int, Pipeline]
    fed: Mapping[int, int]

    def of(self, block: ir.Block, loop: Pipeline | None = None) -> int:
        """Everything that is there at once; loops side by side use the same memory."""
        total = deepest = 0
        for op in block.ops:
            for value in op.results:
                bytes_ = math.prod(self.layout.physical_shape(value)) * value.dtype.itemsize
                total += self._count(op, self.fed.get(id(value)), loop) * bytes_
            deepest = max([deepest, self._inside(op, loop)])
        return total + deepest

    def _inside(self, op: ir.Op, loop: Pipeline | None) -> int:
        if isinstance(op, ir.While):
            loop = Pipeline()
        elif isinstance(op, ir.For):
            tiles = tiles_of(op.range, self.layout)
            if tiles == 0:
                return 0
            loop = loop if tiles == 1 else self.loops.get(op.number, Pipeline())
        return max((self.of(inner, loop) for inner in op.blocks), default=0)

    def _count(self, op: ir.Op, kept: int | None, loop: Pipeline | None) -> int:
        if loop is None or not isinstance(op, ir.Load):
            return int(kept is not None)
        stages = loop.stages or self.stages
        if kept is None:  # Triton stages what no product reads only where the loop itself says how deep
            return max(0, loop.stages - 1) * loop.copies
        return (stages - 1 + kept) * loop.copies if stages > 1 else 1


def shared_bytes(
    program: Program, layout: Layout, stages: int, warps: int, target: Target | None,
    loops: Mapping[int, Pipeline] | None = None,
) -> int:  # fmt: skip
    """Shared memory that loads of loops and operands of products take; `loops`: by number, where a config says more.

    Left operands that are computed stay in registers.
    """
    fed = dict(_operands(program, layout, warps, target))
    buffers = _Buffers(layout, stages, loops or {}, fed)
    return max((buffers.of(phase.body) for phase in program.phases), default=0)


def _operands(program: Program, layout: Layout, warps: int, target: Target | None) -> Iterator[tuple[int, int]]:
    """The values that products read from shared memory (of views, what they view), and 1 where the product is left
    running, else 0.
    """
    made = {id(result): op for op in program.ops() for result in op.results}
    for product in program.ops():
        if isinstance(product, (ir.Dot, ir.DotScaled)):
            running = int(_left_running(product, layout, warps, target))
            for side, value in enumerate(product.inputs[:2]):
                while isinstance(made.get(id(value)), (ir.Permute, ir.Reshape)):
                    value = made[id(value)].inputs[0]
                if side == 1 or isinstance(made.get(id(value)), ir.Load):
                    yield id(value), running


def _left_running(product: ir.Dot | ir.DotScaled, layout: Layout, warps: int, target: Target | None) -> bool:
    """Whether it is one of the asynchronous instructions for whole warp groups; for an unknown target, it may be."""
    if target is None:
        return True
    known = target.backend == "cuda" and int(target.arch) >= 90
    return known and warps % 4 == 0 and layout.physical_shape(product.result)[-2] >= 64


def accumulator_registers(program: Program, layout: Layout, warps: int, warp_size: int) -> int:
    """32-bit registers per thread that the largest result of a product takes."""
    results = (
        math.prod(layout.physical_shape(op.result)) * op.result.dtype.itemsize // 4
        for op in program.ops()
        if isinstance(op, (ir.Dot, ir.DotScaled))
    )
    return max(results, default=0) // (warps * warp_size)


def multiply_adds(block: ir.Block, layout: Layout) -> int:
    """Multiply-adds of the products in one pass through `block`, loops inside it counted once."""
    total = 0
    for op in block.walk():
        if isinstance(op, (ir.Dot, ir.DotScaled)):
            depth = layout.physical_shape(op.inputs[0])[-1]
            total += math.prod(layout.physical_shape(op.result)) * depth
    return total


def fits(program: Program, sizes: Mapping[BlockSize, int], warps: int, stages: int, target: Target | None) -> bool:
    """Whether the estimates stay within the target's limits."""
    layout = Layout(program, sizes)
    shared = target.shared_memory if target is not None else _SMALLEST_SHARED
    warp_size = target.warp_size if target is not None else 32
    return (
        largest_value(program, layout) <= MAX_LANES
        and shared_bytes(program, layout, stages, warps, target) <= shared
        and accumulator_registers(program, layout, warps, warp_size) <= _ACCUMULATOR_REGISTERS
    )


def unsupported(program: Program, target: Target) -> exc.UnsupportedOperation | None:
    """What is known to stop Triton on `target` whatever the config. It is asked for once Triton did stop, so that a
    release which does not is not refused.
    """
    if not target.name.startswith("gfx94"):
        return None
    for op in program.ops():
        if isinstance(op, ir.Dot) and op.inputs[0].dtype is torch.float64:
            return exc.UnsupportedOperation(
                op="a matrix product of float64", reason=f" on {target.name}: Triton does not compile it",
                instead="multiply in float32, or in small tiles write (a[:, :, None] * b[None]).sum(1)",
                location=Location(*op.line),
            )  # fmt: skip
    return None
