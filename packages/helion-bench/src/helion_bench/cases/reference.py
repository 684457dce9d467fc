"""The truth in float64, computed in parts along the rows of an operation."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Protocol

import torch

from .results import Gradient, Inputs, Results, Sizes

LARGEST_PART = 1 << 26  # elements of the largest intermediate result of one part; 512 MiB in float64


class Divisible(Protocol):
    """What a reference asks of an operation; see `operation.Operation`, which has all of it."""

    gradients: ClassVar[tuple[str, ...]]
    rows: ClassVar[tuple[str, ...]]
    parts: ClassVar[Literal["cat", "mean"]]

    def eager(self, **inputs: Any) -> Any: ...
    def largest(self, sizes: Sizes, inputs: Inputs) -> int: ...


def wide(value: Any) -> Any:
    """Floating-point tensors in float64, anything else as it is."""
    return value.double() if isinstance(value, torch.Tensor) and value.is_floating_point() else value


def as_tuple(value: Any) -> tuple[torch.Tensor, ...]:
    """What a function returned, as a tuple."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def in_parts(
    operation: Divisible, sizes: Sizes, inputs: Inputs, gradient: Gradient, limit: int = LARGEST_PART
) -> Results:
    """`operation.eager` in float64, over as many parts as keep the largest tensor below `limit` elements."""
    rows = inputs[operation.rows[0]].size(0)
    count = max(1, min(rows, -(-operation.largest(sizes, inputs) // limit)))
    step = max(1, -(-rows // count))
    shared = {k: wide(v) for k, v in inputs.items() if k not in operation.rows}
    together = _Together(operation)
    for begin in range(0, max(rows, 1), step):
        part = shared | {k: wide(inputs[k][begin : begin + step]) for k in operation.rows}
        if operation.parts == "cat":
            wanted = None if gradient is None else tuple(g[begin : begin + step] for g in gradient)
            together.add(_part(operation, part, wanted, 1.0))
        else:
            together.add(_part(operation, part, gradient, part[operation.rows[0]].size(0) / max(rows, 1)))
    return together.results()


def _part(operation: Divisible, inputs: Inputs, gradient: Gradient, weight: float) -> Results:
    if gradient is None:
        with torch.no_grad():
            return Results(tuple(t * weight for t in as_tuple(operation.eager(**inputs))))
    names = operation.gradients
    leaves = {k: (v.detach().requires_grad_() if k in names else v) for k, v in inputs.items()}
    outputs = tuple(t * weight for t in as_tuple(operation.eager(**leaves)))
    gradients = torch.autograd.grad(outputs, [leaves[k] for k in names], [g.double() for g in gradient])
    return Results(tuple(t.detach() for t in outputs), dict(zip(names, gradients, strict=True)))


class _Together:
    """Results of parts: what has rows is put together at last, what is shared is added up at once."""

    def __init__(self, operation: Divisible) -> None:
        self._operation = operation
        self._rows: dict[str | int, list[torch.Tensor]] = {}
        self._sums: dict[str | int, torch.Tensor] = {}
        self._outputs = 0

    def add(self, results: Results) -> None:
        self._outputs = len(results.outputs)
        for number, output in enumerate(results.outputs):
            self._keep(number, output, self._operation.parts == "cat")
        for name, gradient in results.gradients.items():
            self._keep(name, gradient, name in self._operation.rows)

    def _keep(self, key: str | int, tensor: torch.Tensor, has_rows: bool) -> None:
        if has_rows:
            self._rows.setdefault(key, []).append(tensor)
        elif key in self._sums:
            self._sums[key] += tensor
        else:
            self._sums[key] = tensor

    def results(self) -> Results:
        found = self._sums | {key: torch.cat(parts) for key, parts in self._rows.items()}
        outputs = tuple(found[number] for number in range(self._outputs))
        return Results(outputs, {key: tensor for key, tensor in found.items() if isinstance(key, str)})
