"""Losses of rows of logits: kernels that hold a row in registers, or go through parts of it once.

The formula stands in `cross_entropy`. Every kernel returns the loss and the weight of every row, float32 [2, m], and
its lse in two parts, float32 [2, m]: the maximum, and the logarithm of the sum of exponentials below it. Their sum is
rounded to the size of the logits, which is more than losses and gradients may be off by; so logits are subtracted from
the maximum first. A row with the ignored label has 0 for loss and weight; a label that is no class gives NaN.
"""

from __future__ import annotations

from typing import Any

import torch

import helion.language as hl

from ..frame import kernel
from ..frame.vectors import LANES, as_vectors, columns_of, ends, in_reach, uneven, whole_vectors

RESIDENT = 8192  # longest row that is held in registers; longer ones are read in parts, still once, and faster
Losses = tuple[torch.Tensor, torch.Tensor]


def row_losses(
    logits: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor | None, ignored: int, smoothing: float,
    z_loss: float,
) -> Losses:  # fmt: skip
    """(loss and weight of every row, the parts of its lse) of logits [m, n] of any strides; m and n are at least 1."""
    n = logits.size(1)
    if uneven(n) and in_reach(logits):
        made = losses_vectors
    else:
        made = losses_resident if n <= RESIDENT else losses_online
    return made(logits, labels, weight, ignored, smoothing > 0, smoothing, z_loss)


# --- steps, inlined into kernels


def _empty(logits: torch.Tensor) -> Losses:
    m, device = logits.size(0), logits.device
    results = torch.empty([2, m], dtype=torch.float32, device=device)
    return results, torch.empty_like(results)


def _grown(high: Any, total: Any, row: Any, dims: tuple[int, ...]) -> tuple[Any, Any, Any, Any]:
    """The maximum, and the sum of exponentials below it, of what `high` and `total` stand for and of `row`; how much
    the maximum rose, and `row` below it.
    """
    new_high = torch.maximum(high, torch.amax(row, dim=dims))
    shift = torch.where(new_high == float("-inf"), 0.0, new_high)
    below = row - (shift if shift.dim() == 0 else shift[:, None])
    total = total * torch.exp(high - shift) + torch.sum(torch.exp(below), dim=dims)
    return new_high, total, torch.where(high == float("-inf"), 0.0, shift - high), below


def _weighted(
    gap: Any, weights: Any, rise: Any, below: Any, factor: Any, count: Any, dims: tuple[int, ...]
) -> tuple[Any, Any]:
    """sum_c(w[c] * (high - x[c])) and sum_c(w[c]), with `count` more elements, `below` a maximum that rose."""
    gap = gap + weights * rise
    if factor is None:
        return gap - torch.sum(below, dim=dims), weights + count
    return gap - torch.sum(below * factor, dim=dims), weights + torch.sum(factor, dim=dims)


def _store(
    results: Losses, at: Any, index: Any, logits: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor | None,
    high: Any, log: Any, linear: Any, ignored: int, smoothing: float, z_loss: float,
) -> None:  # fmt: skip
    """The results of the rows `at`, whose indices are `index`, and whose lse is high + log."""
    (out, parts), label = results, labels[at]
    inside = (label >= 0) & (label < logits.size(1))
    safe = torch.where(inside, label, 0)
    chosen = logits[index, safe].to(torch.float32)
    own = torch.ones_like(high) if weight is None else weight[safe].to(torch.float32)
    lse = high + log
    loss = (1 - smoothing) * own * (log + (high - chosen)) + smoothing * linear + z_loss * lse * lse
    skipped = label == ignored
    out[0, at] = torch.where(skipped, 0.0, torch.where(inside, loss, float("nan")))
    out[1, at] = torch.where(skipped, 0.0, own)
    parts[0, at] = high
    parts[1, at] = log


# --- kernels


@kernel("cross_entropy", static_shapes=False)
def losses_resident(
    logits: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor | None, ignored: int, smooth: bool,
    smoothing: float, z_loss: float,
) -> Losses:  # fmt: skip
    m, n = logits.size(0), hl.specialize(logits.size(1))
    results = _empty(logits)
    for tile in hl.tile(m):
        row = logits[tile, :].to(torch.float32)
        high = torch.amax(row, dim=1)
        below = row - high[:, None]
        log = torch.log(torch.sum(torch.exp(below), dim=1))
        linear = hl.zeros([tile], dtype=torch.float32)
        if smooth:
            distance = log[:, None] - below
            if weight is not None:
                distance = distance * weight[:].to(torch.float32)[None, :]
            linear = torch.sum(distance, dim=1) / n
        _store(results, tile, tile.index, logits, labels, weight, high, log, linear, ignored, smoothing, z_loss)
    return results


@kernel("cross_entropy", static_shapes=False)
def losses_online(
    logits: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor | None, ignored: int, smooth: bool,
    smoothing: float, z_loss: float,
) -> Losses:  # fmt: skip
    """As `losses_resident`, with maximum and sum carried over parts of the row."""
    m, n = logits.size(0), hl.specialize(logits.size(1))
    results = _empty(logits)
    block = hl.register_block_size(4096, 16384)  # every part costs two sums over the program: let them be few
    for tile in hl.tile(m):
        high = hl.full([tile], float("-inf"), dtype=torch.float32)
        total = hl.zeros([tile], dtype=torch.float32)
        gap = hl.zeros([tile], dtype=torch.float32)
        weights = hl.zeros([tile], dtype=torch.float32)
        for part in hl.tile(n, block_size=block):
            row = logits[tile, part].to(torch.float32)
            high, total, rise, below = _grown(high, total, row, (1,))
            if smooth:
                factor = None if weight is None else weight[part].to(torch.float32)[None, :]
                gap, weights = _weighted(gap, weights, rise, below, factor, part.end - part.begin, (1,))
        log = torch.log(total)
        linear = (log * weights + gap) / n if smooth else 0.0
        _store(results, tile, tile.index, logits, labels, weight, high, log, linear, ignored, smoothing, z_loss)
    return results


@kernel("cross_entropy", prefer=lambda *_: {"block_sizes": [512], "num_warps": 4}, static_shapes=False)
def losses_vectors(
    logits: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor | None, ignored: int, smooth: bool,
    smoothing: float, z_loss: float,
) -> Losses:  # fmt: skip
    """As `losses_online`, with as many elements a step, for rows of neighbouring elements that begin anywhere."""
    m, n, stride = logits.size(0), hl.specialize(logits.size(1)), hl.specialize(logits.stride(0))
    results, vectors = _empty(logits), as_vectors(logits)
    block = hl.register_block_size(256, 2048)
    for row in hl.grid(m):
        begin, end = whole_vectors(row, stride, n)
        column, inside = ends(row, stride, n)
        rest = hl.load(logits, [row, column], extra_mask=inside).to(torch.float32)
        rest = torch.where(inside, rest, float("-inf"))
        nothing = hl.full([], float("-inf"), dtype=torch.float32)
        high, total, rise, below = _grown(nothing, 0.0, rest, (0,))
        gap, weights = 0.0, 0.0
        if smooth:
            factor = torch.where(inside, 1.0 if weight is None else weight[column].to(torch.float32), 0.0)
            gap, weights = _weighted(gap, weights, rise, torch.where(inside, below, 0.0), factor, 0, (0,))
        for part in hl.tile(begin, end, block_size=block):
            values = vectors[part, :].to(torch.float32)
            high, total, rise, below = _grown(high, total, values, (0, 1))
            if smooth:
                factor = None if weight is None else weight[columns_of(part.index, row, stride)].to(torch.float32)
                gap, weights = _weighted(gap, weights, rise, below, factor, (part.end - part.begin) * LANES, (0, 1))
        log = torch.log(total)
        linear = (log * weights + gap) / n if smooth else 0.0
        _store(results, row, row, logits, labels, weight, high, log, linear, ignored, smoothing, z_loss)
    return results
