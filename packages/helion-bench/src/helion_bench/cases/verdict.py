"""Whether results are right, and by how much they are off.

The error of an element is its distance from the truth, as a part of its own size plus the root mean square of the whole
tensor: rounding of large elements counts by their size, that of small ones by what sums of large ones leave behind.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

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
    """`error`: the largest error found; `tolerance`: the largest allowed; `problem`: what is wrong, or None."""

    error: float
    tolerance: float
    problem: str | None = None

    @property
    def ok(self) -> bool:
        return self.problem is None


def compare(results: Results, expected: Results) -> Verdict:
    """The worst of all tensors; one that is missing or has another shape is wrong whatever it holds."""
    got, truth = results.named(), expected.named()
    missing = [name for name in truth if name not in got]
    if missing:
        return Verdict(float("inf"), 0.0, f"no {', '.join(missing)}")
    verdicts = [compare_tensor(name, got[name], truth[name]) for name in truth]
    return max(verdicts, key=lambda v: (not v.ok, v.error / v.tolerance if v.tolerance else 0.0))


def compare_tensor(name: str, got: torch.Tensor, truth: torch.Tensor) -> Verdict:
    """`got` against `truth`, which is float64; NaN and infinities must be where the truth has them."""
    if got.shape != truth.shape:
        return Verdict(float("inf"), 0.0, f"{name} has shape {list(got.shape)}, not {list(truth.shape)}")
    tolerance = TOLERANCES.get(got.dtype, 0.0) * (GRADIENTS_MORE if name.startswith("gradient") else 1.0)
    scale = _scale(truth)
    error, wrong = 0.0, 0
    for a, b in _chunks(got, truth):
        ratio = _errors(a.double(), b, scale)
        error = max(error, float(ratio.max()))
        wrong += int((ratio > tolerance).sum())
    if not wrong:
        return Verdict(error, tolerance)
    problem = f"{wrong} of {got.numel()} elements of {name} are off, by up to {error:.2g} (allowed: {tolerance:.2g})"
    return Verdict(error, tolerance, problem)


def _errors(a: torch.Tensor, b: torch.Tensor, scale: float) -> torch.Tensor:
    same = (a == b) | (a.isnan() & b.isnan())
    ratio = (a - b).abs() / (b.abs() + scale)
    return torch.where(same, 0.0, ratio.nan_to_num(nan=float("inf")))


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
