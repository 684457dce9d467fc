"""Interchange: the dimensions of a nested multi-dimensional tile loop in another order.

Such a loop is a chain of `For` operations, each alone in the body of the one around it, whose bounds were computed
before the first. Exchanging their ranges exchanges the loops.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from ..ir import Block, For, Op, Program


def chain(loop: For) -> list[For]:
    """The loops of the nest that starts with `loop`, outermost first."""
    found = [loop]
    while len(found) < loop.nest:
        found.append(found[-1].body.ops[-1])  # type: ignore[arg-type]
    return found


def can_interchange(loop: For) -> bool:
    """Whether the nest is perfect and carries values of unchanging dims through all of its loops."""
    loops = chain_or_none(loop)
    return loops is not None and all(
        param.dims == final.dims for f in loops for param, final in zip(f.body.params, f.body.yields, strict=True)
    )


def chain_or_none(loop: For) -> list[For] | None:
    """The loops of the nest, or None where something stands between two of them."""
    found = [loop]
    while len(found) < loop.nest:
        ops = found[-1].body.ops
        if len(ops) != 1 or not isinstance(ops[0], For):
            return None
        found.append(ops[0])
    return found


def interchanged(program: Program, orders: dict[For, Sequence[int]]) -> Program:
    """`program` with the loops of each nest in the given order of its dimensions, outermost first."""
    if all(list(order) == sorted(order) for order in orders.values()):
        return program
    phases = [dataclasses.replace(phase, body=_block(phase.body, orders)) for phase in program.phases]
    return dataclasses.replace(program, phases=phases)


def _block(block: Block, orders: dict[For, Sequence[int]]) -> Block:
    if not any(op in orders for op in block.walk()):
        return block
    ops: list[Op] = []
    for op in block.ops:
        if isinstance(op, For) and op in orders:
            loops = chain(op)
            ranges = [loops[d].range for d in orders[op]]
            innermost = _block(loops[-1].body, orders)
            ops.append(_rebuilt(loops, ranges, innermost))
            continue
        fields = {f.name: getattr(op, f.name) for f in dataclasses.fields(op)}
        changed: dict[str, Any] = {name: _block(b, orders) for name, b in fields.items() if isinstance(b, Block)}
        ops.append(dataclasses.replace(op, **changed) if changed else op)
    return Block(block.parent, block.params, ops, block.yields)


def _rebuilt(loops: Sequence[For], ranges: Sequence, body: Block) -> For:  # type: ignore[type-arg]
    """The chain with other ranges and another innermost body."""
    result = dataclasses.replace(loops[-1], range=ranges[-1], body=body)
    for loop, r in zip(reversed(loops[:-1]), reversed(ranges[:-1]), strict=True):
        old = loop.body
        result = dataclasses.replace(loop, range=r, body=Block(old.parent, old.params, [result], old.yields))
    return result
