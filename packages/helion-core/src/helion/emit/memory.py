"""Pointer arithmetic and masks of loads, stores and atomics."""

from __future__ import annotations

from .. import ir
from ..ir import PointIndex, Size, SliceIndex, TileIndex, ValueIndex
from ..lower.layout import INT32_MAX
from ..lower.pointwise import TRITON_DTYPES
from .kernel import KernelEmitter


def address(op: ir.Access, k: KernelEmitter) -> str:
    """The pointers of an access: the tensor plus the sum of index times stride, what is the same for all lanes
    first.
    """
    wide = k.is_wide(op.tensor)
    lanes_wide = wide and _lanes_need_int64(op, k)
    base, spanned = _base(op, k)
    scalars: list[str] = []
    vectors: list[str] = []
    dimension = 0
    for entry in op.index:
        if isinstance(entry, ir.NewAxis):
            continue
        stride = stride_text(op.tensor.strides[dimension], k)
        text, span = _index_text(entry, op, op.tensor.sizes[dimension], k)
        term = scaled(text, stride, lanes_wide if span else wide, bool(span))
        if term is not None:
            (vectors if span else scalars).append(term)
            spanned |= span
        dimension += 1
    base = " + ".join([base, *scalars])
    text = f"{base} + ({' + '.join(vectors)})" if len(vectors) > 1 else " + ".join([base, *vectors])
    return text if spanned.issuperset(k.kept(op.dims)) else f"tl.broadcast_to({text}, {k.kept_shape(op.dims)})"


def _base(op: ir.Access, k: KernelEmitter) -> tuple[str, set[int]]:
    """The tensor's pointer, or the addresses that an input holds, and the dims these span."""
    if op.base is None:
        return k.tensors[op.tensor], set()
    value = op.inputs[op.base]
    pointers = f"{k.name(value)}.to(tl.pointer_type({TRITON_DTYPES[op.tensor.dtype]}))"
    return k.align(pointers, value.dims, 0, op.dims), set(k.kept(value.dims))


def scaled(text: str, stride: str, wide: bool, is_vector: bool) -> str | None:
    """index * stride, in 64 bits where `wide`; None where it is nothing."""
    if stride == "0" or text == "0":
        return None
    if text.isdigit() and stride.isdigit():
        return str(int(text) * int(stride))
    if wide:
        text = f"{text}.to(tl.int64)" if is_vector else f"tl.full([], {text}, tl.int64)"
    elif not _is_atom(text):
        text = f"({text})"
    return text if stride == "1" else f"{text} * {stride}"


def _is_atom(text: str) -> bool:
    """Whether `text` needs no parentheses as an operand: it holds no space outside of brackets."""
    depth = 0
    for c in text:
        depth += (c in "([") - (c in ")]")
        if c == " " and depth == 0:
            return False
    return True


def _lanes_need_int64(op: ir.Access, k: KernelEmitter) -> bool:
    """Whether the offsets among the lanes of one access need 64 bits: unknown indices, or tall strides."""
    reach = 0
    dimension = 0
    for entry in op.index:
        if isinstance(entry, ir.NewAxis):
            continue
        size, stride = op.tensor.sizes[dimension], op.tensor.strides[dimension]
        dimension += 1
        if isinstance(entry, PointIndex) or (
            isinstance(entry, TileIndex) and k.layout.physical(entry.range.width) == 1
        ):
            continue
        if not isinstance(size, int) or not isinstance(stride, int):
            return True
        reach += max(size, k.layout.physical(size)) * abs(stride)
    return reach > INT32_MAX


def stride_text(stride: Size, k: KernelEmitter) -> str:
    text = k.print(stride)
    return text if text.isidentifier() or text.isdigit() else f"({text})"


def _index_text(entry: ir.Index, op: ir.Access, size: Size, k: KernelEmitter) -> tuple[str, set[int]]:
    """The indices along one dimension of the tensor, `size` long, and the dims of the access along which they vary."""
    match entry:
        case TileIndex(r, offset, dim):
            text = _shifted(r, offset, op, size, k)
            return _placed(text if offset == 0 else f"({text})", dim, op, k)
        case SliceIndex(r, start, step, dim):
            text = k.index(r)
            if step != 1 and text != "0":
                text = f"{text} * {step}"
            if start != 0:
                text = k.print(start) if text == "0" else f"{k.print(start)} + {text}"
            return _placed(f"({text})" if " " in text else text, dim, op, k)
        case PointIndex(at):
            return k.print(at), set()
        case ValueIndex(slot, dim):
            value = op.inputs[slot]
            return k.align(k.name(value), value.dims, dim, op.dims), {dim + at for at in k.kept(value.dims)}
        case _:
            raise AssertionError(entry)


def _placed(text: str, dim: int, op: ir.Access, k: KernelEmitter) -> tuple[str, set[int]]:
    dims = op.dims[dim : dim + 1]
    return k.align(text, dims, dim, op.dims), {dim} if k.kept(dims) else set()


def mask(op: ir.Access, k: KernelEmitter) -> str | None:
    """The mask of an access: range masks of its dims, tensor bounds where a tile may leave them, the extra mask."""
    terms: list[str] = []
    for at, dim in enumerate(op.dims):
        for r in sorted(dim.ranges, key=lambda r: r.id):
            text = k.mask_along(r, op.dims, at)
            if text is not None:
                terms.append(text)
    dimension = 0
    for entry in op.index:
        if isinstance(entry, TileIndex):
            terms.extend(_bounds(entry, op, op.tensor.sizes[dimension], k))
        dimension += not isinstance(entry, ir.NewAxis)
    if op.mask is not None:
        value = op.inputs[op.mask]
        terms.append(k.align(k.name(value), value.dims, len(op.dims) - len(value.dims), op.dims))
    return " & ".join(dict.fromkeys(terms)) if terms else None


def _bounds(entry: TileIndex, op: ir.Access, size: Size, k: KernelEmitter) -> list[str]:
    """Checks against the tensor's own size, where the range of the tile does not imply them."""
    r, offset, dim = entry
    result = []
    if not k.layout.at_most(r.end + offset, size):
        result.append(f"{_shifted(r, offset, op, size, k)} < {k.print(size)}")
    if k.layout.begins_below(r, offset):
        result.append(f"{_shifted(r, offset, op, size, k)} >= 0")
    return [k.align(f"({text})", op.dims[dim : dim + 1], dim, op.dims) for text in result]


def _shifted(r: ir.Range, offset: Size, op: ir.Access, size: Size, k: KernelEmitter) -> str:
    """The indices of a tile, `offset` further on: in 64 bits where 32 may not count the dimension."""
    text = k.index(r)
    if offset == 0:
        return text
    if k.is_wide(op.tensor) and not (isinstance(size, int) and size <= INT32_MAX):
        text = f"tl.cast({text}, tl.int64)"
    return f"{text} + {k.print(offset)}"


def operand(op: ir.Access, slot: int, k: KernelEmitter) -> str:
    """An input that is written, lined up with the access."""
    value = op.inputs[slot]
    return k.align(k.name(value), value.dims, len(op.dims) - len(value.dims), op.dims)
