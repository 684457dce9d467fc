"""Whether a config can fit a target: the largest value, shared memory of pipelined products, registers of
accumulators. And what Triton cannot compile for a target in any config.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import sympy
import torch

from .. import exc, ir
from ..ir import BlockSize, Program
from ..location import Location
from .layout import Layout
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


def shared_bytes(program: Program, layout: Layout, stages: int) -> int:
    """Shared memory that operands of products take: what loops load, once per stage, and everything else once.

    Left operands that are computed stay in registers; loops side by side use the same memory.
    """
    fed = set(_operands(program))
    return max((_block_bytes(phase.body, layout, stages, fed, False) for phase in program.phases), default=0)


def _operands(program: Program) -> Iterator[int]:
    """The values that products read from shared memory; of views, what they view."""
    made = {id(result): op for op in program.ops() for result in op.results}
    for product in program.ops():
        if isinstance(product, (ir.Dot, ir.DotScaled)):
            for side, value in enumerate(product.inputs[:2]):
                while isinstance(made.get(id(value)), (ir.Permute, ir.Reshape)):
                    value = made[id(value)].inputs[0]
                if side == 1 or isinstance(made.get(id(value)), ir.Load):
                    yield id(value)


def _block_bytes(block: ir.Block, layout: Layout, stages: int, fed: set[int], in_loop: bool) -> int:
    total = deepest = 0
    for op in block.ops:
        for value in op.results:
            if id(value) in fed:
                copies = stages if in_loop and isinstance(op, ir.Load) else 1
                total += copies * math.prod(layout.physical_shape(value)) * value.dtype.itemsize
        for inner in op.blocks:
            bytes_inside = _block_bytes(inner, layout, stages, fed, in_loop or isinstance(op, (ir.For, ir.While)))
            deepest = max(deepest, bytes_inside)
    return total + deepest


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
        and shared_bytes(program, layout, stages) <= shared
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
