"""Atomic updates of memory."""

from __future__ import annotations

from .. import ir
from .kernel import KernelEmitter, emit
from .memory import address, mask, operand


@emit.register
def _(op: ir.Atomic, k: KernelEmitter) -> None:
    values = [operand(op, slot, k) for slot in range(2 if op.kind == "cas" else 1)]
    pointer, where = address(op, k), mask(op, k)
    if op.kind == "cas":
        text = _compare_and_swap(op, pointer, values, where, k)
    else:
        suffix = f", mask={where}" if where is not None else ""
        text = f"tl.atomic_{op.kind}({pointer}, {values[0]}{suffix}, sem={op.sem!r})"
    if k.uses[op.result] == 0:
        k.write(text)
        return
    k.define(op.result, text, "previous")


def _compare_and_swap(op: ir.Atomic, pointer: str, values: list[str], where: str | None, k: KernelEmitter) -> str:
    """`tl.atomic_cas` takes no mask: lanes outside compare the first element with, and replace it by, the same
    value.
    """
    expected, new = values
    shape = k.kept_shape(op.dims) if k.kept(op.dims) else None
    if shape is not None:
        expected, new = (f"tl.broadcast_to({text}, {shape})" for text in (expected, new))
    if where is not None:
        expected = k.let("expected", expected)
        inside = k.let("inside", f"tl.broadcast_to({where}, {shape})" if shape is not None else where)
        pointer = k.let("pointers", f"tl.where({inside}, {pointer}, {k.tensors[op.tensor]})")
        new = k.let("wanted", f"tl.where({inside}, {new}, {expected})")
    return f"tl.atomic_cas({pointer}, {expected}, {new}, sem={op.sem!r})"
