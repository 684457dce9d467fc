"""Fuses `acc + a @ b` into a matrix product with an accumulator, as `torch.addmm(acc, a, b)` would have been traced.

Before: a program fresh from the trace. After: the same values up to the order of float32 (or int32) additions; a sum in
another dtype than the product's is left alone, so that half precision rounds where the user rounds it.
"""

from __future__ import annotations

from collections import Counter

import torch

from .. import ir
from ..ir import Block, Dot, Pointwise, Program, Value

_ADD = (torch.ops.aten.add.Tensor, torch.ops.aten.add_.Tensor)


def fuse_accumulators(program: Program) -> None:
    """Rewrites every fitting sum of `program` in place."""
    uses = _uses(program)
    for phase in program.phases:
        _fuse_block(phase.body, uses)


def _uses(program: Program) -> Counter[Value]:
    uses: Counter[Value] = Counter(v for v in program.symbols.values() if isinstance(v, Value))
    for op in program.ops():
        uses.update(op.inputs)
        for block in op.blocks:
            uses.update(block.yields)
    return uses


def _fuse_block(block: Block, uses: Counter[Value]) -> None:
    products = {op.result: op for op in block.ops if isinstance(op, Dot) and len(op.inputs) == 2}
    for at, op in enumerate(block.ops):
        for inner in op.blocks:
            _fuse_block(inner, uses)
        product = _product_of(op, products, uses)
        if product is not None:
            (acc,) = [v for v in op.inputs if v is not product.result]
            block.ops[at] = Dot(
                precision=product.precision, inputs=(*product.inputs, acc), results=op.results, line=op.line
            )
            block.ops[block.ops.index(product)] = _Gone(inputs=(), results=())
    block.ops[:] = [op for op in block.ops if not isinstance(op, _Gone)]


class _Gone(ir.Op):
    """Stands for an operation that another has taken in."""


def _product_of(op: ir.Op, products: dict[Value, Dot], uses: Counter[Value]) -> Dot | None:
    """The matrix product that the sum `op` can take in."""
    if (
        not isinstance(op, Pointwise)
        or op.target not in _ADD
        or len(op.inputs) != 2
        or dict(op.kwargs).get("alpha", 1) != 1
    ):
        return None
    if len(op.args) > 2 or op.inputs[0] is op.inputs[1]:
        return None
    for value, other in (op.inputs, op.inputs[::-1]):
        product = products.get(value)
        if product is None or uses[value] != 1:
            continue
        same_type = value.dtype == other.dtype == op.result.dtype
        if same_type and value.shape == other.shape == op.result.shape:
            return product
    return None
