"""The truth in float64, computed in parts along the rows of an operation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from .operation import LARGEST_PART, Results

if TYPE_CHECKING:
    from .operation import Gradient, Inputs, Operation, Sizes


def wide(value: Any) -> Any:
    """Floating-point tensors in float64, anything else as it is."""
    return value.double() if isinstance(value, torch.Tensor) and value.is_floating_point() else value


def as_tuple(value: Any) -> tuple[torch.Tensor, ...]:
    """What a function returned, as a tuple."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def in_parts(
    operation: Operation, sizes: Sizes, inputs: Inputs, gradient: Gradient, limit: int = LARGEST_PART
) -> Results:
    """`operation.eager` in float64, over as many parts as keep the largest tensor below `limit` elements."""
    rows = inputs[operation.rows[0]].size(0)
    count = max(1, min(rows, -(-operation.largest(sizes, inputs) // limit)))
    step = max(1, -(-rows // count))
    found = []
    for begin in range(0, max(rows, 1), step):
        part = {k: wide(v[begin : begin + step] if k in operation.rows else v) for k, v in inputs.items()}
        if operation.parts == "cat":
            rows_of = None if gradient is None else tuple(g[begin : begin + step] for g in gradient)
            found.append(_part(operation, part, rows_of, 1.0))
        else:
            found.append(_part(operation, part, gradient, part[operation.rows[0]].size(0) / max(rows, 1)))
    return _joined(operation, found)


def _part(operation: Operation, inputs: Inputs, gradient: Gradient, weight: float) -> Results:
    if gradient is None:
        with torch.no_grad():
            return Results(tuple(t * weight for t in as_tuple(operation.eager(**inputs))))
    names = operation.gradients
    leaves = {k: (v.detach().requires_grad_() if k in names else v) for k, v in inputs.items()}
    outputs = tuple(t * weight for t in as_tuple(operation.eager(**leaves)))
    gradients = torch.autograd.grad(outputs, [leaves[k] for k in names], [g.double() for g in gradient])
    return Results(tuple(t.detach() for t in outputs), dict(zip(names, gradients, strict=True)))


def _joined(operation: Operation, found: Sequence[Results]) -> Results:
    outputs = zip(*(r.outputs for r in found), strict=True)
    joined = tuple(torch.cat(parts) if operation.parts == "cat" else torch.stack(parts).sum(0) for parts in outputs)
    gradients = {}
    for name in found[0].gradients:
        parts = [r.gradients[name] for r in found]
        gradients[name] = torch.cat(parts) if name in operation.rows else torch.stack(parts).sum(0)
    return Results(joined, gradients)
