"""Whether results are right, and by how much they are off.

The error of an element is its distance from the truth, as a part of its own size plus the root mean square of the whole
tensor: rounding of large elements counts by their size, that of small ones by what sums of large ones leave behind.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ..results.model import Accuracy

if TYPE_CHECKING:
    from .operation import Results

# Part of the size of an element plus the root mean square. An element has 8, 11 or 24 bits; the bounds leave room for
# an intermediate result that is rounded too, and for float32 for sums of ten thousands of elements in another order.
TOLERANCES = {
    torch.float64: 1e-10, torch.float32: 1e-4, torch.float16: 4e-3, torch.bfloat16: 2e-2,
    torch.float8_e4m3fn: 0.13, torch.float8_e5m2: 0.26,
}  # fmt: skip
GRADIENTS_MORE = 2.0  # gradients go through rounded outputs once more
_CHUNK = 1 << 25


@dataclass(frozen=True)
class Verdict:
    """The worst deviation of all results, and what is wrong, or None.

    Of `accuracy`, the relative deviation is that from the size of an element plus the root mean square.
    """

    accuracy: Accuracy
    problem: str | None = None

    @property
    def ok(self) -> bool:
        return self.problem is None

    @property
    def used(self) -> float:
        """The part of the tolerance that is used up."""
        return math.inf if self.accuracy.max_rel is None else self.accuracy.max_rel / self.accuracy.tolerance_rel


def wrong(problem: str) -> Verdict:
    """A verdict on results that cannot be compared element by element."""
    return Verdict(Accuracy(False, None, None, 0.0, 1.0), problem)


def compare(results: Results, expected: Results) -> Verdict:
    """The worst of all tensors; one that is missing or has another shape is wrong whatever it holds."""
    got, truth = results.named(), expected.named()
    missing = [name for name in truth if name not in got]
    if missing:
        return wrong(f"it computes no {', '.join(missing)}")
    verdicts = [compare_tensor(name, got[name], truth[name]) for name in truth]
    return max(verdicts, key=lambda v: (not v.ok, v.used))


def compare_tensor(name: str, got: torch.Tensor, truth: torch.Tensor) -> Verdict:
    """`got` against `truth`, which is float64; NaN and infinities must be where the truth has them."""
    if got.shape != truth.shape:
        return wrong(f"{name} has shape {list(got.shape)}, not {list(truth.shape)}")
    if got.dtype not in TOLERANCES:
        return wrong(f"{name} is {str(got.dtype).removeprefix('torch.')}, which is no result of a benchmark")
    tolerance = TOLERANCES[got.dtype] * (GRADIENTS_MORE if name.startswith("gradient") else 1.0)
    scale = _scale(truth)
    largest, ratio, count = 0.0, 0.0, 0
    for a, b in _chunks(got, truth):
        difference = _differences(a.double(), b)
        ratios = torch.where(difference == 0, 0.0, difference / (b.abs().nan_to_num() + scale))
        largest, ratio = max(largest, float(difference.max())), max(ratio, float(ratios.max()))
        count += int((ratios > tolerance).sum())
    finite = math.isfinite(ratio)
    accuracy = Accuracy(
        count == 0, largest if finite else None, ratio if finite else None, tolerance * scale, tolerance
    )
    if not count:
        return Verdict(accuracy)
    problem = f"{count} of {got.numel()} elements of {name} are off, by up to {ratio:.2g} (allowed: {tolerance:.2g})"
    return Verdict(accuracy, problem)


def _differences(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Distances of elements: 0 where both are the same infinity or both are NaN, infinite where only one is."""
    same = (a == b) | (a.isnan() & b.isnan())
    return torch.where(same, 0.0, (a - b).abs().nan_to_num(nan=math.inf, posinf=math.inf))


def _scale(truth: torch.Tensor) -> float:
    if truth.numel() == 0:
        return 0.0
    squares = count = 0.0
    for (part,) in _chunks(truth):
        finite = part[part.isfinite()]
        squares += float(finite.square().sum())
        count += finite.numel()
    return (squares / count) ** 0.5 if count else 0.0


def _chunks(*tensors: torch.Tensor) -> Iterator[tuple[torch.Tensor, ...]]:
    if tensors[0].numel() == 0:
        return iter(())
    flat = [t.detach().reshape(-1).split(_CHUNK) for t in tensors]
    return zip(*flat, strict=True)
