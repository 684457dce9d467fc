"""Checks of a program that catch our own mistakes."""

from __future__ import annotations

from collections.abc import Sequence

from .base import Block, Value
from .control import For, If, While
from .program import Program


def verify(program: Program) -> None:
    """Checks that every use of a value is dominated by its definition and that loops carry what their body yields.

    Raises AssertionError: a broken program is our own mistake, never the user's.
    """
    for phase in program.phases:
        _verify_block(phase.body, set())


def _verify_block(block: Block, visible: set[int]) -> None:
    visible = visible | {id(param) for param in block.params}
    for op in block.ops:
        for value in op.inputs:
            assert id(value) in visible, f"{op.name} uses a value that does not dominate it (line {op.line[1]})"
        for inner in op.blocks:
            _verify_block(inner, visible)
        if isinstance(op, (For, While)):
            _verify_carried(op.inputs, op.body.params, op.body.yields, op.results)
        if isinstance(op, If):
            _verify_carried(op.then.yields, op.orelse.yields, op.results)
        visible.update(id(value) for value in op.results)
    for value in block.yields:
        assert id(value) in visible, "a block yields a value that is not visible in it"


def _verify_carried(*groups: Sequence[Value]) -> None:
    for values in zip(*groups, strict=True):
        first = values[0]
        for value in values[1:]:
            assert value.dtype == first.dtype and value.shape == first.shape, "a carried value changes its type"
