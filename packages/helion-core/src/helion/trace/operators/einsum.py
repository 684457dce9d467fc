"""`torch.einsum` of two values with several dimensions beside the summed one: a product of batches.

Torch would merge such dimensions into one, which tiles whose sizes are padded cannot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..values import TileTensor
from .products import matmul

if TYPE_CHECKING:
    from ..tracer import Tracer


def einsum(tracer: Tracer, equation: Any, *operands: Any) -> Any:
    """`torch.einsum(equation, a, b)`; NotImplemented for what torch itself takes to products without merging."""
    values = operands[0] if len(operands) == 1 and isinstance(operands[0], (list, tuple)) else operands
    if not isinstance(equation, str) or len(values) != 2 or not all(isinstance(v, TileTensor) for v in values):
        return NotImplemented
    given, _, result = equation.replace(" ", "").partition("->")
    a, b = terms = given.split(",") if given.count(",") == 1 else ("", "")
    labels = sorted(set(a + b))
    if "->" not in equation:
        result = "".join(label for label in labels if (a + b).count(label) == 1)
    distinct = all(len(set(term)) == len(term) for term in (*terms, result))
    named = "." not in equation and [len(t) for t in terms] == [v.dim() for v in values] and set(result) <= set(labels)
    both = set(a) & set(b)
    (*summed,) = both - set(result)
    if not distinct or not named or len(summed) != 1:
        return NotImplemented
    batch = [label for label in result if label in both]
    rows, columns = ([label for label in result if label in set(term) - both] for term in terms)
    if max(map(len, (batch, rows, columns))) <= 1:
        return NotImplemented
    shared = [*batch, *rows[:-1], *columns[:-1]]
    row, column = rows[-1:] or ["row"], columns[-1:] or ["column"]
    left = _arranged(values[0], a, [*shared, *row, *summed])
    right = _arranged(values[1], b, [*shared, *summed, *column])
    product, order = matmul(tracer, left, right), [*shared, *row, *column]
    for label in reversed([*row, *column]):
        if label not in result:
            product = product.squeeze(order.index(label))
            order.remove(label)
    return product.permute([order.index(label) for label in result])


def _arranged(value: TileTensor, labels: str, order: list[str]) -> Any:
    """`value` with a dimension for each label of `order`, of size 1 for those it lacks; it is summed over others."""
    alone = [at for at, label in enumerate(labels) if label not in order]
    kept = [label for label in labels if label in order]
    found: Any = value.sum(alone) if alone else value
    found = found.permute([kept.index(label) for label in order if label in kept])
    for at, label in enumerate(order):
        if label not in kept:
            found = found.unsqueeze(at)
    return found
