"""Accesses that move a rectangular block of a tensor, and how each access of a program may be spelled.

`pointer` serves every access. `block_ptr` and `tensor_descriptor` name a block by its first element: they clip at the
bounds of the tensor, not of a tile, so a store needs a tile range that ends where the tensor does, and what a load
holds behind the end of a shorter range is unknown. Descriptors (TMA) also want 16-byte aligned strides and a
contiguous last dimension, along which blocks start at multiples of 16 bytes.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import sympy
import torch

from .. import ir
from ..collection import uncollected
from ..ir import (
    Access,
    Dot,
    DotScaled,
    For,
    HostTensor,
    Load,
    PointIndex,
    Program,
    Range,
    Size,
    SliceIndex,
    Store,
    TileIndex,
)
from .flatten import FlatView
from .layout import INT32_MAX, Layout

POINTER, BLOCK_PTR, DESCRIPTOR = "pointer", "block_ptr", "tensor_descriptor"
INDEXING = (POINTER, BLOCK_PTR, DESCRIPTOR)
_BUFFER_ALIGNMENT = 128  # bytes, of a block in shared memory: buffers of a pipeline lie side by side
_ALIGNMENT = 16  # bytes, of strides and of the innermost run of a descriptor's block
_MAX_RANK = 5
_MAX_BLOCK = 256  # lanes of one dim of a descriptor's block


@dataclass(frozen=True)
class BlockDim:
    """A run of a block along `dimension` of the tensor: from `start` on, as many as dim `at` of the access has lanes.

    One element where `at` is None. `clips`: lanes outside the range lie outside the tensor too.
    """

    dimension: int
    start: Size
    at: int | None
    range: Range | None
    clips: bool


@dataclass(frozen=True)
class Descriptor:
    """A tensor descriptor that the launch makes: `dims` of `tensor` in its order, with blocks of `block` lanes.

    Each is a dimension, or several that lie around each other in memory and count as one: their sizes multiplied, with
    the stride of the last.
    """

    tensor: HostTensor
    dims: tuple[tuple[int, ...], ...]
    block: tuple[int, ...]


def access_key(op: Access) -> tuple[str, int]:
    """What identifies a load or store in every form of its program."""
    return op.name, op.number  # type: ignore[attr-defined]


def accesses(program: Program) -> Iterator[Access]:
    """Loads and stores in program order: the entries of `indexing`."""
    return (op for op in program.ops() if isinstance(op, (Load, Store)))


def block_dims(op: Access) -> tuple[BlockDim, ...] | None:
    """The block that `op` moves, dimension by dimension; None where it is not a rectangle of neighbours."""
    if op.mask is not None or op.base is not None or op.tensor.dtype is torch.bool:
        return None
    result: list[BlockDim] = []
    dimension = 0
    for entry in op.index:
        if isinstance(entry, ir.NewAxis):
            continue
        size = op.tensor.sizes[dimension]
        match entry:
            case TileIndex(r, offset, at) if not r.extra_ends:
                result.append(BlockDim(dimension, r.base + offset, at, r, r.end + offset == size))
            case SliceIndex(r, start, 1, at):
                base = start if r.full else r.base + start
                result.append(BlockDim(dimension, base, at, r, r.end + start == size))
            case PointIndex(start):
                result.append(BlockDim(dimension, start, None, None, True))
            case _:
                return None
        dimension += 1
    if not any(d.at is not None for d in result):
        return None
    if isinstance(op, Store) and not all(d.clips for d in result):
        return None
    return tuple(result)


def descriptor_order(op: Access, dims: tuple[BlockDim, ...]) -> tuple[BlockDim, ...] | None:
    """The dimensions as a descriptor names them: those of size 1 left out, the contiguous one last. None where
    illegal. Whether strides that only the host knows are aligned is seen at the launch.
    """
    tensor = op.tensor
    if isinstance(tensor, FlatView):
        return None  # the launch knows the tensor as it is
    real = [d for d in dims if tensor.sizes[d.dimension] != 1]
    contiguous = [
        d for d in real if tensor.strides[d.dimension] == 1 and d.at is not None and _starts_aligned(d, tensor)
    ]
    if not contiguous or len(real) > _MAX_RANK:
        return None
    last = contiguous[-1]
    others = [d for d in real if d is not last]
    itemsize = tensor.dtype.itemsize
    for d in others:
        stride = tensor.strides[d.dimension]
        if isinstance(stride, int) and (stride <= 0 or stride * itemsize % _ALIGNMENT):
            return None
    return (*others, last)


def descriptor_groups(
    op: Access, dims: tuple[BlockDim, ...], layout: Layout
) -> tuple[tuple[BlockDim, ...], ...] | None:
    """`descriptor_order`, with dimensions joined where a block is one element thick in all but the last of them.

    A batch of contiguous matrices is one tall matrix then. Every coordinate less is two uniform registers less, which
    products in a loop around the load are short of: attention on an H100 gains 8 %.
    """
    order = descriptor_order(op, dims)
    if order is None:
        return None
    groups: list[tuple[BlockDim, ...]] = [(d,) for d in order]
    while pair := _joinable(op, groups[:-1], layout):
        outer, inner = pair
        groups[groups.index(inner)] = outer + inner
        groups.remove(outer)
    return tuple(groups)


def _joinable(
    op: Access, groups: Sequence[tuple[BlockDim, ...]], layout: Layout
) -> tuple[tuple[BlockDim, ...], tuple[BlockDim, ...]] | None:
    """Two of `groups` of which the first lies around the second in memory and is one element thick in the block.

    The block never leaves the second, behind whose end is no padding then but the next of the first. Nor does it leave
    the first: 32 bits may not count the elements outside.
    """
    for outer, inner in itertools.permutations(groups, 2):
        if not _lies_around(op.tensor, outer, inner) or any(_lanes(op, d, layout) > 1 for d in outer):
            continue
        if not any(_may_be_outside(op, d, layout) for d in outer + inner):
            return outer, inner
    return None


def _lies_around(tensor: HostTensor, outer: tuple[BlockDim, ...], inner: tuple[BlockDim, ...]) -> bool:
    """Whether a step along `outer` is as long as all of `inner`, and 32 bits count the elements of both."""
    sizes = [tensor.sizes[d.dimension] for d in outer + inner]
    step, around = tensor.strides[inner[-1].dimension], tensor.strides[outer[-1].dimension]
    if not all(isinstance(n, int) for n in (*sizes, step, around)):
        return False
    whole = math.prod(sizes[len(outer) :])  # type: ignore[arg-type]
    return around == whole * step and whole * math.prod(sizes[: len(outer)]) <= INT32_MAX  # type: ignore[arg-type, operator]


def _starts_aligned(d: BlockDim, tensor: HostTensor) -> bool:
    """Whether the first block along `d` starts at a multiple of 16 bytes."""
    r = d.range
    assert r is not None
    first = d.start if r.full else d.start - r.base + r.begin
    return isinstance(first, (int, sympy.Integer)) and int(first) * tensor.dtype.itemsize % _ALIGNMENT == 0


def choices(op: Access, program: Program, has_tma: bool) -> tuple[str, ...]:
    """The ways to spell `op` that are legal whatever else is chosen."""
    dims = block_dims(op)
    if dims is None:
        return (POINTER,)
    result = [POINTER]
    if has_block_pointers() and not _is_large(op.tensor, program):
        result.append(BLOCK_PTR)
    if has_tma and descriptor_order(op, dims) is not None and not _needs_pointers(op, program):
        result.append(DESCRIPTOR)
    return tuple(result)


def _needs_pointers(op: Access, program: Program) -> bool:
    """Whether a descriptor would be wrong, or stop Triton, though shape and alignment allow one."""
    if _is_large(op.tensor, program) or _read_and_written(op.tensor, program):
        return True
    return isinstance(op, Store) and _beside_a_product(op, program)


def _is_large(tensor: HostTensor, program: Program) -> bool:
    """Whether a size may exceed the 32 bits that coordinates of blocks have."""
    return any(size > INT32_MAX if isinstance(size, int) else program.wide for size in tensor.sizes)


def _beside_a_product(op: Access, program: Program) -> bool:
    """Whether a loop holds `op` and a matrix product: Triton's pipeliner for Blackwell fails on descriptor stores
    there.
    """
    loops = [list(loop.body.walk()) for loop in program.ops() if isinstance(loop, For)]
    return any(op in body and any(isinstance(o, (Dot, DotScaled)) for o in body) for body in loops)


def _read_and_written(tensor: HostTensor, program: Program) -> bool:
    """Whether the kernel both reads and writes the tensor: descriptors and pointers are not ordered against each
    other.
    """
    kinds = {type(op) for op in program.ops() if isinstance(op, Access) and op.tensor.source == tensor.source}
    return len(kinds) > 1


@functools.cache
def has_block_pointers() -> bool:
    """Whether the installed Triton still has block pointers."""
    with uncollected():  # this is where most processes import Triton
        import triton.language as tl

    return hasattr(tl, "advance")


def spelling(op: Access, wanted: str, layout: Layout, program: Program) -> str:
    """How `op` is written where `wanted` is asked for: pointers if the block sizes do not allow it."""
    dims = block_dims(op)
    if dims is None or wanted == POINTER:
        return POINTER
    if wanted == BLOCK_PTR and (not has_block_pointers() or _is_large(op.tensor, program)):
        return POINTER
    if isinstance(op, Store) and any(_steps_short(d.range, layout) for d in dims):
        return POINTER
    if wanted == DESCRIPTOR and (_needs_pointers(op, program) or descriptor(op, dims, layout) is None):
        return POINTER
    single = [d for d in dims if d.at is None or _lanes(op, d, layout) == 1]
    if wanted == BLOCK_PTR and len(single) == len(dims):
        return POINTER
    unchecked = single if wanted == BLOCK_PTR else [d for d in dims if op.tensor.sizes[d.dimension] == 1]
    return POINTER if any(_may_leave(op, d, layout) for d in unchecked) else wanted


def _may_leave(op: Access, d: BlockDim, layout: Layout) -> bool:
    """Whether the tile along `d` may lie outside the tensor: nothing clips a dimension that the block is flat in."""
    r, size = d.range, op.tensor.sizes[d.dimension]
    if d.at is None or r is None:
        return False
    if r.full:
        return layout.needs_mask(r)  # one lane of a dimension of size 0
    offset = d.start - r.base
    return layout.begins_below(r, offset) or not layout.at_most(r.end + offset, size)  # type: ignore[operator]


def _may_be_outside(op: Access, d: BlockDim, layout: Layout) -> bool:
    """Whether some lane along `d` may lie outside the tensor."""
    padded = d.at is not None and d.range is not None and layout.needs_mask(d.range)
    return padded or _may_leave(op, d, layout)


def _steps_short(r: Range | None, layout: Layout) -> bool:
    """Whether tiles have more lanes than they advance, so that they overlap."""
    return r is not None and not r.full and layout.physical(r.width) != layout.number(r.width)


def _lanes(op: Access, dim: BlockDim, layout: Layout) -> int:
    return 1 if dim.at is None else layout.physical(op.dims[dim.at].size)


def descriptor(op: Access, dims: tuple[BlockDim, ...], layout: Layout) -> Descriptor | None:
    """The descriptor for `op` under these block sizes, or None where it would be illegal."""
    groups = descriptor_groups(op, dims, layout)
    if groups is None:
        return None
    if any(_lanes(op, d, layout) > 1 for d in dims if all(d not in group for group in groups)):
        return None
    block = tuple(_lanes(op, group[-1], layout) for group in groups)
    step = groups[-1][-1].range
    width = layout.number(step.width) if step is not None and not step.full else block[-1]
    if (width or 0) * op.tensor.dtype.itemsize % _ALIGNMENT or max(block[:-1], default=1) > _MAX_BLOCK:
        return None
    if math.prod(block) * op.tensor.dtype.itemsize % _BUFFER_ALIGNMENT:
        return None
    return Descriptor(op.tensor, tuple(tuple(d.dimension for d in group) for group in groups), block)


def unclipped(program: Program, spellings: Mapping[Access, str], layout: Layout) -> set[tuple[ir.Value, int]]:
    """(value, dim) pairs of loads whose padding holds what lies behind the tile in memory instead of zeros."""
    result: set[tuple[ir.Value, int]] = set()
    for op, kind in spellings.items():
        if kind != POINTER and isinstance(op, Load):
            for d in block_dims(op) or ():
                if d.at is not None and (not d.clips or _steps_short(d.range, layout)):
                    result.add((op.result, d.at))
    return result
