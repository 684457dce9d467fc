"""Whether results are right, and by how much they are off.

The error of an element is its distance from the truth, as a part of its scale: its own size plus the root mean square
of its surroundings, which are the whole tensor or its row (the last dimension), whichever is larger. Rounding of large
elements counts by their size, that of small ones by what sums of large ones leave behind. Those sums run within a row:
the first rows of causal attention average few values and are tens of times as large as the whole tensor's mean.

Where what is summed cancels and its scale cannot be seen from the result, rounding exceeds any such tolerance: the
gradient of the first query of causal attention is 0, that of the next few small differences of large numbers. What is
beyond the tolerance is therefore right if torch's own result in the same dtype, eagerly computed, is off by half as
much at least, in half as many elements at least. No error of torch's excuses one of several times the tolerance.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch

from ..results.model import Accuracy
from .results import Results

# Part of the scale of an element. An element has 8, 11 or 24 bits; the bounds leave room for
# an intermediate result that is rounded too, and for float32 for sums of ten thousands of elements in another order.
TOLERANCES = {
    torch.float64: 1e-10, torch.float32: 1e-4, torch.float16: 4e-3, torch.bfloat16: 2e-2,
    torch.float8_e4m3fn: 0.13, torch.float8_e5m2: 0.26,
}  # fmt: skip
GRADIENTS_MORE = 2.0  # gradients go through rounded outputs once more
_CHUNK = 1 << 24  # elements in float64 at a time

TIMES_EAGER = 2.0  # as far off as torch, and in as many elements
MOST = 4.0  # times the tolerance, whatever torch computes
_BY_CHANCE = 8  # elements more than that: whether a few are beyond the tolerance is chance


@dataclass(frozen=True)
class Deviation:
    """How far one tensor is from the truth: the worst of its elements, and how many are beyond the tolerance."""

    name: str
    accuracy: Accuracy
    beyond: int
    elements: int

    @property
    def problem(self) -> str | None:
        if self.accuracy.ok:
            return None
        allowed = f"(allowed: {self.accuracy.tolerance_rel:.2g})"
        return f"{self.beyond} of {self.elements} elements of {self.name} are off, by up to {self.worst} {allowed}"

    @property
    def worst(self) -> str:
        """The worst error in a message."""
        return "inf" if self.accuracy.max_rel is None else f"{self.accuracy.max_rel:.2g}"

    def no_worse_than(self, eager: Deviation) -> bool:
        """Whether torch's own deviation explains this one."""
        ours, theirs = self.accuracy.max_rel, eager.accuracy.max_rel
        if ours is None or theirs is None:
            return False
        farthest = min(TIMES_EAGER * theirs, MOST * self.accuracy.tolerance_rel)
        return ours <= farthest and self.beyond <= TIMES_EAGER * eager.beyond + _BY_CHANCE


@dataclass(frozen=True)
class Verdict:
    """The worst deviation of all results, and what is wrong, or None.

    Of `accuracy`, the relative deviation is a part of the scale of its element; the absolute tolerance is that of a
    zero in a row that is no larger than the rest. `deviations`: of each result, where they could be compared.
    """

    accuracy: Accuracy
    problem: str | None = None
    deviations: tuple[Deviation, ...] = ()

    @property
    def ok(self) -> bool:
        return self.problem is None

    @property
    def used(self) -> float:
        """The part of the tolerance that is used up."""
        return math.inf if self.accuracy.max_rel is None else self.accuracy.max_rel / self.accuracy.tolerance_rel

    def beside(self, eager: Verdict) -> Verdict:
        """The verdict in view of that on what torch computes eagerly, in the same dtype and from the same inputs."""
        theirs = {deviation.name: deviation for deviation in eager.deviations}
        beyond = [deviation for deviation in self.deviations if not deviation.accuracy.ok]
        if self.ok or not beyond or any(deviation.name not in theirs for deviation in beyond):
            return self
        for deviation in beyond:
            other = theirs[deviation.name]
            if not deviation.no_worse_than(other):
                told = f"{deviation.problem}; of torch's own {other.beyond} are, by up to {other.worst}"
                return replace(self, accuracy=deviation.accuracy, problem=told)
        reference = "float64, and torch's own result in the same dtype"
        return replace(self, accuracy=replace(self.accuracy, ok=True, reference=reference), problem=None)


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
    worst = max(verdicts, key=lambda v: (not v.ok, v.used))
    return replace(worst, deviations=tuple(d for verdict in verdicts for d in verdict.deviations))


def compare_tensor(name: str, got: torch.Tensor, truth: torch.Tensor) -> Verdict:
    """`got` against `truth`, which is float64; NaN and infinities must be where the truth has them."""
    if got.shape != truth.shape:
        return wrong(f"{name} has shape {list(got.shape)}, not {list(truth.shape)}")
    if got.dtype not in TOLERANCES:
        return wrong(f"{name} is {str(got.dtype).removeprefix('torch.')}, which is no result of a benchmark")
    tolerance = TOLERANCES[got.dtype] * (GRADIENTS_MORE if name.startswith("gradient") else 1.0)
    matrix, exact = _matrix(got), _matrix(truth)
    rows, overall = _scales(exact)
    largest, ratio, count = 0.0, 0.0, 0
    for at in _blocks(exact):
        difference = _differences(matrix[at].double(), exact[at])
        ratios = torch.where(difference == 0, 0.0, difference / (exact[at].abs().nan_to_num() + rows[at[0]]))
        largest, ratio = max(largest, float(difference.max())), max(ratio, float(ratios.max()))
        count += int((ratios > tolerance).sum())
    finite = math.isfinite(ratio)
    accuracy = Accuracy(
        count == 0, largest if finite else None, ratio if finite else None, tolerance * overall, tolerance
    )
    deviation = Deviation(name, accuracy, count, got.numel())
    return Verdict(accuracy, deviation.problem, (deviation,))


def _differences(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Distances of elements: 0 where both are the same infinity or both are NaN, infinite where only one is."""
    same = (a == b) | (a.isnan() & b.isnan())
    return torch.where(same, 0.0, (a - b).abs().nan_to_num(nan=math.inf, posinf=math.inf))


def _scales(truth: torch.Tensor) -> tuple[torch.Tensor, float]:
    """The root mean square of each row of a matrix, or of the whole if that is larger, as a column; and of the whole.

    What is not finite is left out. A row of one element says nothing of its surroundings.
    """
    squares, counts = torch.zeros(2, truth.size(0), 1, dtype=torch.float64, device=truth.device)
    for at in _blocks(truth):
        finite = truth[at].isfinite()
        squares[at[0]] += torch.where(finite, truth[at], 0.0).square().sum(1, keepdim=True)
        counts[at[0]] += finite.sum(1, keepdim=True)
    overall = float((squares.sum() / counts.sum().clamp(min=1)).sqrt())
    rows = (squares / counts.clamp(min=1)).sqrt()
    return rows.clamp(min=overall) if truth.size(1) > 1 else torch.full_like(rows, overall), overall


def _matrix(tensor: torch.Tensor) -> torch.Tensor:
    """Rows of the last dimension."""
    return tensor.detach().reshape(math.prod(tensor.shape[:-1]), tensor.size(-1) if tensor.ndim else 1)


def _blocks(matrix: torch.Tensor) -> Iterator[tuple[slice, slice]]:
    """Parts of at most `_CHUNK` elements: whole rows, or parts of rows that are longer than that."""
    rows, columns = matrix.shape
    step = max(1, _CHUNK // max(columns, 1))
    for top, left in itertools.product(range(0, rows, step), range(0, columns, _CHUNK)):
        yield slice(top, top + step), slice(left, left + _CHUNK)
