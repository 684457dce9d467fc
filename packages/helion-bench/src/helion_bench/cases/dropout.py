"""Dropout: which elements are dropped is random, so what is checked is what every mask must satisfy."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from .operation import Pass
from .results import Gradient, Inputs, Results, Sizes
from .rows import RowOperation, rows
from .verdict import Verdict, compare, wrong

_P = 0.1
_DEVIATIONS = 6.0  # how far the part dropped may be from what is expected; once in a billion by chance


class Dropout(RowOperation):
    """Each element is 0 with probability 0.1, else divided by 0.9."""

    name = "dropout"
    ours = "helion_kernels:dropout"
    shapes = (
        rows(8192, 4096, quick=True),
        rows(8192, 8192),
        rows(4096, 14336),
        rows(32768, 2048),
        rows(1024, 5120),
        rows(16, 128, cpu=True),
        rows(7, 100, cpu=True),
    )
    flops_per_element: ClassVar[tuple[float, float]] = (2.0, 1.0)

    def eager(self, **inputs: Any) -> Any:
        return torch.nn.functional.dropout(inputs["x"], _P, training=True)

    def call_ours(self, function: Any, inputs: Inputs) -> Any:
        return function(inputs["x"], _P)

    def bytes(self, sizes: Sizes, itemsize: int, pass_: Pass) -> float:
        return 2 * sizes["rows"] * sizes["cols"] * itemsize  # backward: gradient in, gradient out

    def reference(self, sizes: Sizes, inputs: Inputs, gradient: Gradient) -> Results:
        """Nothing: the truth depends on the mask, see `verify`."""
        return Results(())

    def verify(self, inputs: Inputs, gradient: Gradient, results: Results, expected: Results) -> Verdict:
        """Kept elements and their gradients hold what they must; as many are dropped as chance allows."""
        (output,) = results.outputs
        x = inputs["x"].detach()
        kept = output != 0
        truth = Results((_masked(x, kept),))
        if gradient is not None:
            kept_gradient = torch.where(x == 0, results.gradients["x"] != 0, kept)  # an x of 0 does not tell
            truth = Results(truth.outputs, {"x": _masked(gradient[0], kept_gradient)})
        verdict = compare(results, truth)
        problem = _count(int((~kept & (x != 0)).sum()), int((x != 0).sum()))
        return wrong(problem) if problem else verdict


def _masked(value: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    return torch.where(kept, value.double() / (1 - _P), 0.0)


def _count(dropped: int, of: int) -> str | None:
    """What is wrong with `dropped` of `of` elements being dropped, or None if chance allows it."""
    off = abs(dropped - of * _P) / max((of * _P * (1 - _P)) ** 0.5, 1.0)
    return None if off <= _DEVIATIONS else f"{dropped} of {of} elements are dropped, {of * _P:.0f} are expected"
