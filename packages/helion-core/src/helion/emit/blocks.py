"""Loads and stores by block pointer or tensor descriptor: no index vectors and no masks, the hardware or Triton
clips.
"""

from __future__ import annotations

from .. import ir
from ..ir import Size
from ..lower.access import BLOCK_PTR, BlockDim, block_dims, descriptor
from .kernel import KernelEmitter
from .memory import scaled, stride_text


def load_text(op: ir.Load, kind: str, k: KernelEmitter, eviction: str) -> str:
    """The squeezed value that is read."""
    dims = block_dims(op)
    assert dims is not None
    suffix = f", eviction_policy={eviction!r}" if eviction else ""
    if kind == BLOCK_PTR:
        pointer, check = _block_pointer(op, dims, k)
        return f"tl.load({pointer}{check}{', padding_option=' + repr('zero') if check else ''}{suffix})"
    name, offsets, groups = _descriptor(op, dims, k)
    text = f"{name}.load([{offsets}])"  # takes no cache hint
    kept = _kept(op, groups, k)
    if len(kept) != len(groups):
        text = f"tl.reshape({text}, {k.shape([op.dims[at].size for at in kept])})"
    return _permuted(text, kept, sorted(kept))


def write_store(op: ir.Store, kind: str, text: str, k: KernelEmitter) -> None:
    """Stores squeezed `text`, the stored value aligned with the access."""
    dims = block_dims(op)
    assert dims is not None
    if k.kept(op.inputs[0].dims) != k.kept(op.dims) or len(op.inputs[0].dims) != len(op.dims):
        text = f"tl.broadcast_to({text}, {k.kept_shape(op.dims)})"
    if kind == BLOCK_PTR:
        pointer, check = _block_pointer(op, dims, k)
        k.write(f"tl.store({pointer}, {text}{check})")
        return
    name, offsets, groups = _descriptor(op, dims, k)
    kept = _kept(op, groups, k)
    text = _permuted(text, sorted(kept), kept)
    if len(kept) != len(groups):
        lasts = [group[-1].at for group in groups]
        text = f"tl.reshape({text}, {k.shape([1 if at is None else op.dims[at].size for at in lasts])})"
    k.write(f"{name}.store([{offsets}], {text})")


def _kept(op: ir.Access, groups: tuple[tuple[BlockDim, ...], ...], k: KernelEmitter) -> list[int]:
    """The dims of the access that have lanes, in the order of the descriptor."""
    kept = k.kept(op.dims)
    return [d.at for group in groups for d in group if d.at in kept]  # type: ignore[misc]


def _permuted(text: str, source: list[int], target: list[int]) -> str:
    if source == target:
        return text
    order = [source.index(at) for at in target]
    return f"tl.trans({text})" if order == [1, 0] else f"tl.permute({text}, {order})"


def _descriptor(
    op: ir.Access, dims: tuple[BlockDim, ...], k: KernelEmitter
) -> tuple[str, str, tuple[tuple[BlockDim, ...], ...]]:
    """The parameter that holds the descriptor of `op`, where the block begins, and what its dimensions are made of."""
    made = descriptor(op, dims, k.layout)
    assert made is not None
    of = {d.dimension: d for d in dims}
    groups = tuple(tuple(of[dimension] for dimension in joined) for joined in made.dims)
    return k.descriptor(made), ", ".join(_narrow(_start(op, group), k) for group in groups), groups


def _start(op: ir.Access, group: tuple[BlockDim, ...]) -> Size:
    """Where the block begins, counted through all dimensions of the group."""
    start: Size = 0
    for d in group:
        start = start * op.tensor.sizes[d.dimension] + d.start  # type: ignore[operator]
    return start


def _narrow(start: Size, k: KernelEmitter) -> str:
    """An offset in the 32 bits that blocks take; their tensor's sizes fit them."""
    text = k.print(start)
    return f"tl.cast({text}, tl.int32)" if ir.is_wide(start, k.program.symbols) else text


def _block_pointer(op: ir.Access, dims: tuple[BlockDim, ...], k: KernelEmitter) -> tuple[str, str]:
    """`tl.make_block_ptr(...)` over the dims with lanes, and the boundary check it needs."""
    kept = k.kept(op.dims)
    vectors = sorted((d for d in dims if d.at in kept), key=lambda d: d.at)  # type: ignore[arg-type, return-value]
    wide = k.is_wide(op.tensor)
    base = [k.tensors[op.tensor]]
    for d in dims:
        if d.at not in kept:
            term = scaled(k.print(d.start), stride_text(op.tensor.strides[d.dimension], k), wide, False)
            base += [term] if term is not None else []
    strides = [op.tensor.strides[d.dimension] for d in vectors]
    sizes = [s if isinstance(s, int) else 1 << 62 for s in strides]
    order = sorted(range(len(vectors)), key=lambda at: sizes[at])
    offsets = ", ".join(_narrow(d.start, k) for d in vectors)
    pointer = (
        f"tl.make_block_ptr({' + '.join(base)}, [{_texts((op.tensor.sizes[d.dimension] for d in vectors), k)}], "
        f"[{_texts(strides, k)}], [{offsets}], {k.kept_shape(op.dims)}, {order})"
    )
    checked = [at for at, d in enumerate(vectors) if _may_leave(op, d, k)]
    return pointer, f", boundary_check={checked}" if checked else ""


def _texts(sizes: object, k: KernelEmitter) -> str:
    return ", ".join(k.print(size) for size in sizes)  # type: ignore[attr-defined]


def _may_leave(op: ir.Access, d: BlockDim, k: KernelEmitter) -> bool:
    """Whether lanes may lie outside the tensor."""
    assert d.range is not None
    if k.layout.needs_mask(d.range) or (not d.range.full and k.layout.begins_below(d.range, 0)):
        return True
    end, size = d.range.end, op.tensor.sizes[d.dimension]
    shifted = d.start != d.range.base and not d.range.full
    return shifted or not (d.clips or (isinstance(end, int) and isinstance(size, int) and end <= size))
