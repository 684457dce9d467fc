"""What a program looks like to a planner: its matrix products, reductions and memory accesses, in a few numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import sympy

from .. import ir
from ..ir import Block, BlockSize, Program, Range, Size
from .rolling import in_parts

UNKNOWN_EXTENT = 4096  # what a size that is not known when planning counts as


@dataclass(frozen=True)
class Product:
    """One matrix product: the sizes of its tile, the bytes of an operand's element, and the loop it stands in."""

    rows: Size
    columns: Size
    depth: Size
    itemsize: int
    loop: ir.For | None
    exact: bool  # float32 in full precision, which no tensor core does


@dataclass(frozen=True)
class Traits:
    """The shape of a program."""

    program: Program

    @cached_property
    def products(self) -> tuple[Product, ...]:
        return tuple(
            Product(
                op.result.shape[-2], op.result.shape[-1], op.inputs[0].shape[-1], op.inputs[0].dtype.itemsize, loop,
                isinstance(op, ir.Dot) and op.precision == "ieee",
            )
            for op, loop in _with_loops(self.program)
            if isinstance(op, (ir.Dot, ir.DotScaled))
        )  # fmt: skip

    @cached_property
    def in_parts(self) -> Program:
        """The program with values of known sizes only, up to block sizes."""
        return in_parts(self.program)

    @cached_property
    def most_products(self) -> int:
        """Products in one loop, at most."""
        loops = [p.loop for p in self.products]
        return max(map(loops.count, loops), default=0)

    @cached_property
    def reduced(self) -> tuple[Range, ...]:
        """Whole dimensions that are reduced."""
        found: dict[Range, None] = {}
        for op in self.program.ops():
            if isinstance(op, ir.Reduce):
                found.update(dict.fromkeys(r for r in op.inputs[0].dims[op.dim].ranges if r.full))
        return tuple(found)

    @cached_property
    def has_loops(self) -> bool:
        return any(isinstance(op, (ir.For, ir.While)) for op in self.program.ops())

    @cached_property
    def itemsize(self) -> int:
        """Bytes of the widest element that is read or written in tiles."""
        sizes = [op.tensor.dtype.itemsize for op in self.program.ops() if isinstance(op, ir.Access) and op.dims]
        return max(sizes, default=4)

    @cached_property
    def contiguous(self) -> tuple[BlockSize, ...]:
        """Block sizes that tile the fastest dimension of some tensor: of those with several tiled dims, if there are
        any.
        """
        accesses = [op for op in self.program.ops() if isinstance(op, ir.Access)]
        several = [op for op in accesses if sum(isinstance(e, ir.TileIndex) for e in op.index) > 1]
        return self._fastest(several) or self._fastest(accesses)

    @cached_property
    def side_by_side(self) -> tuple[BlockSize, ...]:
        """Block sizes that tile the fastest dimension of some tensor that is read along another, which is reduced."""

        def reduced(entry: ir.Index) -> bool:
            return isinstance(entry, (ir.TileIndex, ir.SliceIndex)) and entry.range in self.reduced

        return self._fastest(
            [op for op in self.program.ops() if isinstance(op, ir.Load) and any(map(reduced, op.index))]
        )

    def _fastest(self, accesses: Iterable[ir.Access]) -> tuple[BlockSize, ...]:
        found: dict[BlockSize, None] = {}
        for op in accesses:
            entries = [e for e in op.index if not isinstance(e, ir.NewAxis)]
            for entry, stride in zip(entries, op.tensor.strides, strict=True):
                if isinstance(entry, ir.TileIndex) and stride == 1:
                    block = self.block(entry.range.width)
                    if block is not None:
                        found[block] = None
        return tuple(found)

    def tiled(self, access: ir.Access) -> set[BlockSize | None]:
        """The block sizes of the tiles that index `access`; None stands for widths that are none."""
        return {self.block(e.range.width) for e in access.index if isinstance(e, ir.TileIndex)}

    def runs_along(self, access: ir.Access, block: BlockSize | None) -> bool:
        """Whether neighbours in memory lie along the tiles of `block`."""
        return block is not None and block in self._fastest([access])

    def block(self, size: Size) -> BlockSize | None:
        """The block size that `size` is, if it is one."""
        found = self.program.symbols.get(size) if isinstance(size, sympy.Symbol) else None
        return found if isinstance(found, BlockSize) else None

    def extent(self, size: Size) -> int:
        """How far the dimension behind a tile's size goes."""
        block = self.block(size)
        if block is not None:
            size = block.extent if block.extent is not None else UNKNOWN_EXTENT
        return size if isinstance(size, int) else UNKNOWN_EXTENT

    @cached_property
    def grid_blocks(self) -> tuple[BlockSize, ...]:
        """Block sizes of the outermost loops."""
        found = (self.block(r.width) for phase in self.program.phases for r in phase.ranges)
        return tuple(dict.fromkeys(b for b in found if b is not None))


def _with_loops(program: Program) -> Iterator[tuple[ir.Op, ir.For | None]]:
    def walk(block: Block, loop: ir.For | None) -> Iterator[tuple[ir.Op, ir.For | None]]:
        for op in block.ops:
            yield op, loop
            for inner in op.blocks:
                yield from walk(inner, op if isinstance(op, ir.For) else loop)

    for phase in program.phases:
        yield from walk(phase.body, None)
