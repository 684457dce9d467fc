"""Gradients of losses of rows of logits: kernels that read the logits once, and write their gradient once.

The formula stands in `cross_entropy`, and `forward` tells why lse has two parts. All elements are independent, given
lse; so the gradient may take the place of the logits.
"""

from __future__ import annotations

from typing import Any

import torch

import helion.language as hl

from ..frame import kernel
from ..frame.vectors import LANES, as_vectors, columns_of, ends, in_reach, uneven, whole_vectors


def write_gradient(
    out: torch.Tensor, grad: torch.Tensor, total: torch.Tensor | None, logits: torch.Tensor, labels: torch.Tensor,
    weight: torch.Tensor | None, lse: torch.Tensor, ignored: int, smoothing: float, z_loss: float,
) -> None:  # fmt: skip
    """Writes dlogits to `out`, which may be `logits`. grad, total: scalars, or one value for each row."""
    m = logits.size(0)
    weight_sum = weight.float().sum().view(1) if weight is not None and smoothing > 0 else None
    rows = grad.expand(m), None if total is None else total.expand(m)
    apart = uneven(logits.size(1)) and in_reach(logits) and logits.stride() == out.stride()
    made = losses_vectors_backward if apart else losses_backward
    made(*rows, logits, labels, weight, weight_sum, lse, out, ignored, smoothing > 0, smoothing, z_loss)


# --- steps, inlined into kernels


def _of_rows(
    at: Any, grad: torch.Tensor, total: torch.Tensor | None, labels: torch.Tensor, weight: torch.Tensor | None,
    lse: torch.Tensor, n: int, smoothing: float, z_loss: float,
) -> tuple[Any, ...]:  # fmt: skip
    """Of rows: the label, the parts of lse, what the label's own logit and all probabilities count, and the factor
    of them all.
    """
    label, high, log, scale = labels[at], lse[0, at], lse[1, at], grad[at].to(torch.float32)
    if total is not None:
        scale = scale / total[at]
    inside = (label >= 0) & (label < n)
    own = torch.ones_like(high)
    if weight is not None:
        own = weight[torch.where(inside, label, 0)].to(torch.float32)
    hard = (1 - smoothing) * own
    return label, high, log, hard, hard + 2 * z_loss * (high + log), torch.where(inside, scale, float("nan"))


def _derivative(
    x: Any, columns: Any, of_rows: tuple[Any, ...], factor: Any, weight_sum: torch.Tensor | None, ignored: int,
    smooth: bool, smoothing: float, n: int,
) -> Any:  # fmt: skip
    """Of logits `x` in `columns`, whose weights are `factor`; `of_rows` broadcast to them."""
    label, high, log, hard, of_p, scale = of_rows
    p = torch.exp(x.to(torch.float32) - high - log)
    change = p * of_p - torch.where(columns == label, hard, 0.0)
    if smooth:
        if weight_sum is None:
            change = change + smoothing * (p - 1.0 / n)
        else:
            change = change + (smoothing / n) * (weight_sum[0] * p - factor.to(torch.float32))
    return torch.where(label == ignored, 0.0, change * scale)


# --- kernels


@kernel("cross_entropy", static_shapes=False)
def losses_backward(
    grad: torch.Tensor, total: torch.Tensor | None, logits: torch.Tensor, labels: torch.Tensor,
    weight: torch.Tensor | None, weight_sum: torch.Tensor | None, lse: torch.Tensor, out: torch.Tensor, ignored: int,
    smooth: bool, smoothing: float, z_loss: float,
) -> None:  # fmt: skip
    """grad, total: [m] of any strides; grad / total counts."""
    m, n = logits.size(0), hl.specialize(logits.size(1))
    block = hl.register_block_size(2048, 16384)
    for tile_m, tile_n in hl.tile([m, n], block_size=[None, block]):
        terms = _of_rows(tile_m, grad, total, labels, weight, lse, n, smoothing, z_loss)
        terms = tuple(t[:, None] for t in terms)
        factor = None if weight_sum is None or weight is None else weight[tile_n][None, :]
        x, columns = logits[tile_m, tile_n], tile_n.index[None, :]
        out[tile_m, tile_n] = _derivative(x, columns, terms, factor, weight_sum, ignored, smooth, smoothing, n)


@kernel("cross_entropy", prefer=lambda *_: {"block_sizes": [256], "num_warps": 4}, static_shapes=False)
def losses_vectors_backward(
    grad: torch.Tensor, total: torch.Tensor | None, logits: torch.Tensor, labels: torch.Tensor,
    weight: torch.Tensor | None, weight_sum: torch.Tensor | None, lse: torch.Tensor, out: torch.Tensor, ignored: int,
    smooth: bool, smoothing: float, z_loss: float,
) -> None:  # fmt: skip
    """As `losses_backward`, for rows that begin at any element; `out` has the strides of `logits`."""
    m, n, stride = logits.size(0), hl.specialize(logits.size(1)), hl.specialize(logits.stride(0))
    vectors, out_vectors = as_vectors(logits), as_vectors(out)
    block = hl.register_block_size(128, 2048)
    for tile, part in hl.tile([m, n // LANES], block_size=[1, block]):
        row = tile.begin
        begin, end = whole_vectors(row, stride, n)
        terms = _of_rows(row, grad, total, labels, weight, lse, n, smoothing, z_loss)
        inside = (part.index < end - begin)[:, None]
        columns = columns_of(part.index + begin, row, stride)
        factor = None if weight_sum is None or weight is None else hl.load(weight, [columns], extra_mask=inside)
        x = hl.load(vectors, [part + begin, slice(None)], extra_mask=inside)
        change = _derivative(x, columns, terms, factor, weight_sum, ignored, smooth, smoothing, n)
        hl.store(out_vectors, [part + begin, slice(None)], change, extra_mask=inside)
        if part.begin == 0:
            columns, inside = ends(row, stride, n)
            factor = None if weight_sum is None or weight is None else weight[columns]
            x = hl.load(logits, [row, columns], extra_mask=inside)
            change = _derivative(x, columns, terms, factor, weight_sum, ignored, smooth, smoothing, n)
            hl.store(out, [row, columns], change, extra_mask=inside)
