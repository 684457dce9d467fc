"""Which tensors a kernel reads and writes, as far as its program tells."""

from __future__ import annotations

from dataclasses import dataclass

from .. import ir
from ..ir import Program

_OPAQUE = (ir.InlineTriton, ir.CallTriton)


@dataclass(frozen=True)
class Effects:
    """Positions in `program.tensors`; `stores`: those that the program is seen to store to, `scratch`: those of tensors
    whose final contents mean nothing.

    `by_address`: the kernel follows device addresses that it reads from tensors, which mean nothing in another process.
    """

    reads: frozenset[int]
    writes: frozenset[int]
    scratch: frozenset[int] = frozenset()
    by_address: bool = False
    stores: frozenset[int] = frozenset()


def effects(program: Program) -> Effects:
    """What the operations of `program` do; text of the user's own is taken to read and write everything."""
    scratch = frozenset(k for k, t in enumerate(program.tensors) if t.name == ir.ARRIVALS)
    everything = frozenset(range(len(program.tensors)))
    reads, stores = set(scratch), set[int]()
    by_address = False
    for op in program.ops():
        if not isinstance(op, ir.Access):
            continue
        by_address |= op.base is not None
        at = program.tensors.index(op.tensor)
        if not isinstance(op, ir.Load):
            stores.add(at)
        if not isinstance(op, ir.Store):
            reads.add(at)
    if any(isinstance(op, _OPAQUE) or (isinstance(op, ir.InlineAsm) and op.effect) for op in program.ops()):
        return Effects(everything, everything, scratch, stores=frozenset(stores))
    return Effects(frozenset(reads), scratch | stores, scratch, by_address, frozenset(stores))
