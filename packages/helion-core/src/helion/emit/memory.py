"""Loads and stores: pointer arithmetic and masks."""

from __future__ import annotations

import torch

from .. import ir
from ..ir import PointIndex, Size, SliceIndex, TileIndex, ValueIndex
from ..lower.pointwise import TRITON_DTYPES
from .kernel import KernelEmitter, emit


def spread(text: str, at: int, count: int, rank: int) -> str:
    """`text`, a value of `count` dims, placed at dims `at`... of a value of `rank` dims by adding unit dims."""
    if count == 0 or count == rank:
        return text
    parts = ["None"] * at + [":"] * count + ["None"] * (rank - at - count)
    return f"{text}[{', '.join(parts)}]"


def _scaled(text: str, stride: str, wide: bool) -> str | None:
    if stride == "0":
        return None
    if wide:
        text = f"{text}.to(tl.int64)"
    return text if stride == "1" else f"{text} * {stride}"


def _scalar(text: str, wide: bool) -> str:
    return f"tl.full([], {text}, tl.int64)" if wide and not text.isdigit() else f"({text})" if " " in text else text


def address(op: ir.Access, k: KernelEmitter) -> str:
    """The pointers of an access: the tensor plus the sum of index times stride, in the shape of the access."""
    wide = k.is_wide(op.tensor)
    rank = len(op.dims)
    base, spanned = _base(op, k, rank)
    terms: list[str] = []
    dimension = 0
    for entry in op.index:
        if isinstance(entry, ir.NewAxis):
            continue
        stride = _stride(op.tensor.strides[dimension], k)
        term = _scaled(_index_text(entry, op, k, rank, wide), stride, wide and not isinstance(entry, PointIndex))
        if term is not None and term != "0":
            terms.append(term)
            spanned |= _span(entry, op)
        dimension += 1
    text = f"{base} + {terms[0]}" if len(terms) == 1 else f"{base} + ({' + '.join(terms)})" if terms else base
    return text if _covers(op, spanned, k) else f"tl.broadcast_to({text}, {k.shape([d.size for d in op.dims])})"


def _base(op: ir.Access, k: KernelEmitter, rank: int) -> tuple[str, set[int]]:
    """The tensor's pointer, or the addresses that an input holds, and the dims these span."""
    if op.base is None:
        return k.tensors[op.tensor], set()
    value = op.inputs[op.base]
    pointers = f"{k.name(value)}.to(tl.pointer_type({TRITON_DTYPES[op.tensor.dtype]}))"
    return spread(pointers, 0, len(value.dims), rank), set(range(len(value.dims)))


def _span(entry: ir.Index, op: ir.Access) -> set[int]:
    """The dims of the access along which an index varies."""
    match entry:
        case TileIndex(_, _, dim) | SliceIndex(_, _, _, dim):
            return {dim}
        case ValueIndex(slot, dim):
            return set(range(dim, dim + len(op.inputs[slot].dims)))
        case _:
            return set()


def _covers(op: ir.Access, spanned: set[int], k: KernelEmitter) -> bool:
    """Whether pointers that vary along `spanned` have the shape of the access; strides of 0 leave dims out."""
    if not spanned:
        return not op.dims or _needs_reshape(op)
    return all(k.layout.physical(d.size) == 1 for at, d in enumerate(op.dims) if at not in spanned)


def _stride(stride: Size, k: KernelEmitter) -> str:
    text = k.print(stride)
    return text if text.isidentifier() or text.isdigit() else f"({text})"


def _index_text(entry: ir.Index, op: ir.Access, k: KernelEmitter, rank: int, wide: bool) -> str:
    match entry:
        case TileIndex(r, offset, dim):
            text = k.index(r)
            if offset != 0:
                text = f"({text} + {k.print(offset)})"
            return spread(text, dim, 1, rank)
        case SliceIndex(r, start, step, dim):
            text = k.index(r)
            if step != 1:
                text = f"{text} * {step}"
            if start != 0:
                text = f"{k.print(start)} + {text}"
            return spread(f"({text})" if " " in text else text, dim, 1, rank)
        case PointIndex(at):
            return _scalar(k.print(at), wide)
        case ValueIndex(slot, dim):
            value = op.inputs[slot]
            return spread(k.name(value), dim, len(value.dims), rank)
        case _:
            raise AssertionError(entry)


def mask(op: ir.Access, k: KernelEmitter) -> str | None:
    """The mask of an access: range masks of its dims, tensor bounds where a tile may leave them, the extra mask."""
    rank = len(op.dims)
    terms: list[str] = []
    for at, dim in enumerate(op.dims):
        for r in sorted(dim.ranges, key=lambda r: r.id):
            text = k.mask(r)
            if text is not None:
                terms.append(spread(text, at, 1, rank))
    dimension = 0
    for entry in op.index:
        if isinstance(entry, TileIndex):
            terms.extend(_bounds(entry, op.tensor.sizes[dimension], k, rank))
        dimension += not isinstance(entry, ir.NewAxis)
    if op.mask is not None:
        value = op.inputs[op.mask]
        terms.append(spread(k.name(value), rank - len(value.dims), len(value.dims), rank))
    return " & ".join(dict.fromkeys(terms)) if terms else None


def _bounds(entry: TileIndex, size: Size, k: KernelEmitter, rank: int) -> list[str]:
    """Checks against the tensor's own size, where the range of the tile does not imply them."""
    r, offset, dim = entry
    inside = isinstance(r.end, int) and isinstance(size, int) and isinstance(offset, int) and r.end + offset <= size
    result = []
    if not inside and not (r.end == size and offset == 0):
        result.append(f"{_shifted(r, offset, k)} < {k.print(size)}")
    if not (isinstance(offset, int) and offset >= 0) and offset != 0:
        result.append(f"{_shifted(r, offset, k)} >= 0")
    return [f"({spread(f'({text})', dim, 1, rank)})" if rank > 1 else f"({text})" for text in result]


def _shifted(r: ir.Range, offset: Size, k: KernelEmitter) -> str:
    return k.index(r) if offset == 0 else f"{k.index(r)} + {k.print(offset)}"


def _needs_reshape(op: ir.Access) -> bool:
    """Whether no index spans a dim, so that the pointer is a scalar while the access has (unit) dims."""
    scalar_base = op.base is None or not op.inputs[op.base].dims
    return bool(op.dims) and scalar_base and not any(_span(entry, op) for entry in op.index)


def reshaped_result(op: ir.Access, text: str, k: KernelEmitter) -> str:
    """What was read, in the shape of the access."""
    return f"tl.full({k.shape([d.size for d in op.dims])}, {text}, {TRITON_DTYPES[op.result.dtype]})" if _needs_reshape(op) else text


def operand(op: ir.Access, slot: int, k: KernelEmitter) -> str:
    """An input that is written, with unit dims added to line up with the access."""
    value = op.inputs[slot]
    text = k.name(value)
    if _needs_reshape(op):
        return f"tl.reshape({text}, [1]).sum()" if value.dims else text
    return spread(text, len(op.dims) - len(value.dims), len(value.dims), len(op.dims)) if value.dims else text


@emit.register
def _(op: ir.Load, k: KernelEmitter) -> None:
    where = mask(op, k)
    arguments = [address(op, k)]
    if where is not None:
        arguments += [f"mask={where}", "other=0" if not op.result.dtype.is_floating_point else "other=0.0"]
    if op.eviction is not None:
        arguments.append(f"eviction_policy={op.eviction!r}")
    text = f"tl.load({', '.join(arguments)})"
    if op.result.dtype is torch.bool:
        text = f"({text} != 0)"
    k.define(op.result, reshaped_result(op, text, k), f"{k.tensors[op.tensor]}_tile")


@emit.register
def _(op: ir.Store, k: KernelEmitter) -> None:
    where = mask(op, k)
    suffix = f", mask={where}" if where is not None else ""
    k.write(f"tl.store({address(op, k)}, {operand(op, 0, k)}{suffix})")
