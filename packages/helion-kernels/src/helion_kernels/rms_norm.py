"""Root mean square norm (Zhang and Sennrich, "Root mean square layer normalization", 2019), with an optional residual.

y = x * r * weight with r = 1 / sqrt(mean(x^2) + eps); with a residual, of the sum x + residual, which is returned too.
With g = dy * weight: dx = r * (g - x * r^2 * mean(g * x)), dweight = sum over rows of dy * x * r.

As `torch.nn.functional.rms_norm`. Deterministic: dweight is summed in two stages of fixed order, without atomics.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

import helion.language as hl

from .frame import Call, kernel, operator, usable
from .frame.rows import (
    LONG_ROW,
    LONGEST_ROW,
    as_row,
    as_rows,
    begin_of,
    loads_ahead,
    normalizes,
    part_loop,
    reads_again,
    row_length,
    row_loop,
    shaped,
    share_of_rows,
    shares_of_parts,
    sum_of_shares,
    units,
    weight_row,
)
from .frame.samples import Shape, randn

SMALL: Shape = (7, 48)
SHAPES: tuple[Shape, ...] = ((8192, 2048), (8192, 4096), (8192, 5120), (8192, 8192), (4096, 16384), (64, 4096))


@kernel("rms_norm", static_shapes=False)
def rms_norm_rows(
    x: torch.Tensor, residual: torch.Tensor | None, weight: torch.Tensor | None, eps: float
) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor]:
    """y, the sum where there is a residual, and r of every row for the gradients."""
    m, n = x.size(0), hl.specialize(x.size(1))
    out = torch.empty([m, n], dtype=x.dtype, device=x.device)
    total = None if residual is None else torch.empty([m, n], dtype=x.dtype, device=x.device)
    inverse = torch.empty([m], dtype=torch.float32, device=x.device)
    for tile in hl.tile(m):
        row = x[tile, :].to(torch.float32)
        if residual is not None and total is not None:
            row = (row + residual[tile, :].to(torch.float32)).to(x.dtype).to(torch.float32)
            total[tile, :] = row
        factor = None if weight is None else weight[:]  # on the way while the sum is made
        r = torch.rsqrt(torch.mean(row * row, dim=-1, keepdim=True) + eps)
        normal = row * r
        out[tile, :] = normal if factor is None else normal * factor.to(torch.float32)
        inverse[tile] = r.squeeze(-1)
    return out, total, inverse


def _held(grad_total: torch.Tensor | None, x: torch.Tensor) -> int:
    """Bytes a column of what a program of the backward pass holds: gradients, x and the weight, and a sum."""
    return (3 if grad_total is None else 4) * x.element_size() + 4


def _given(
    grad: Any, x: Any, inverse: Any, rows: Any, end: Any, policy: str | None = None
) -> tuple[Any, Any, Any]:  # fmt: skip
    """What the gradient of `rows` below `end` needs. `policy`: see `hl.load`."""
    there = rows < end
    g = hl.load(grad, [rows, slice(None)], extra_mask=there[:, None], eviction_policy=policy)
    row = hl.load(x, [rows, slice(None)], extra_mask=there[:, None], eviction_policy=policy)
    return g, row, hl.load(inverse, [rows], extra_mask=there)[:, None]


def _terms(given: tuple[Any, ...], factor: Any) -> tuple[Any, Any, Any]:
    """dy, x * r and g of rows; `given`: see `_given`; `factor`: the weight."""
    g, x, inverse = given
    grad, normal = g.to(torch.float32), x.to(torch.float32) * inverse
    return grad, normal, grad if factor is None else grad * factor


@kernel("rms_norm", prefer=lambda grad, grad_total, x, *_: row_loop(x, _held(grad_total, x)), static_shapes=False)
def rms_norm_rows_backward(
    grad: torch.Tensor, grad_total: torch.Tensor | None, x: torch.Tensor, weight: torch.Tensor | None,
    inverse: torch.Tensor, units: int,
) -> tuple[torch.Tensor, torch.Tensor | None]:  # fmt: skip
    """dx, and for each program the sum of dweight over its share of the rows. `x`: what was normalised."""
    m, n = x.size(0), hl.specialize(x.size(1))
    programs = units * hl.register_tunable("programs_per_unit", hl.PowerOfTwoFragment(1, 16))
    dx = torch.empty([m, n], dtype=x.dtype, device=x.device)
    sums = None if weight is None else torch.empty([1, programs, n], dtype=torch.float32, device=x.device)
    block = hl.register_block_size(1, 64)
    for at in hl.grid(programs):
        held = _held(grad_total, x)
        ahead, again = loads_ahead(x, held), reads_again(x, held)
        first, stride, end = share_of_rows(at, m, n, programs)
        total = hl.zeros([block, n], dtype=torch.float32)
        long = n > LONG_ROW  # the weight does not fit registers beside such rows
        factor = None if long else weight_row(weight)
        coming: Any = _given(grad, x, inverse, first + hl.arange(block) * stride, end) if ahead else None
        for tile in hl.tile((m + programs - 1) // programs, block_size=block):
            rows = first + tile.index * stride
            there = (rows < end)[:, None]
            more = None if grad_total is None else hl.load(grad_total, [rows, slice(None)], extra_mask=there)
            if ahead:
                given, coming = coming, _given(grad, x, inverse, rows + block * stride, end)
            else:
                given = _given(grad, x, inverse, rows, end, "evict_last" if again else None)
            g, normal, weighted = _terms(given, weight_row(weight, "evict_last" if again else None) if long else factor)
            inner = torch.mean(weighted * normal, dim=-1, keepdim=True)
            if again:
                given = _given(grad, x, inverse, rows, end, "evict_first")
                g, normal, weighted = _terms(given, weight_row(weight, "evict_first"))
            change = given[2] * (weighted - normal * inner)
            if more is not None:
                change = change + more.to(torch.float32)
            hl.store(dx, [rows, slice(None)], change, extra_mask=there)
            if weight is not None:
                total += g * normal
        if sums is not None:
            sums[0, at, :] = total.sum(0)
    return dx, sums


@kernel("rms_norm", static_shapes=False)
def rms_norm_means(
    grad: torch.Tensor, x: torch.Tensor, weight: torch.Tensor | None, inverse: torch.Tensor
) -> torch.Tensor:
    """mean(g * x * r) of every row: what the parts of a long row need of the whole."""
    m, n = x.size(0), hl.specialize(x.size(1))
    means = torch.empty([m], dtype=torch.float32, device=x.device)
    for tile in hl.tile(m):
        normal, g = x[tile, :].to(torch.float32) * inverse[tile, None], grad[tile, :].to(torch.float32)
        weighted = g if weight is None else g * weight[:].to(torch.float32)
        means[tile] = torch.sum(weighted * normal, dim=-1) / n
    return means


@kernel("rms_norm", prefer=part_loop, static_shapes=False)
def rms_norm_parts_backward(
    grad: torch.Tensor, grad_total: torch.Tensor | None, x: torch.Tensor, weight: torch.Tensor | None,
    inverse: torch.Tensor, means: torch.Tensor, shares: int,
) -> tuple[torch.Tensor, torch.Tensor | None]:  # fmt: skip
    """As `rms_norm_rows_backward`, for a part of the columns at a time. `means`: of `rms_norm_means`."""
    m, n = x.size(0), hl.specialize(x.size(1))
    dx = torch.empty([m, n], dtype=x.dtype, device=x.device)
    sums = None if weight is None else torch.empty([1, shares, n], dtype=torch.float32, device=x.device)
    for share, part in hl.tile([shares, n], block_size=[1, None]):
        at = share.begin
        total = hl.zeros([part], dtype=torch.float32)
        factor = None if weight is None else weight[part].to(torch.float32)
        for tile in hl.tile(begin_of(at, m, shares), begin_of(at + 1, m, shares)):
            normal, g = x[tile, part].to(torch.float32) * inverse[tile, None], grad[tile, part].to(torch.float32)
            weighted = g if factor is None else g * factor
            change = inverse[tile, None] * (weighted - normal * means[tile, None])
            if grad_total is not None:
                change = change + grad_total[tile, part].to(torch.float32)
            dx[tile, part] = change
            total += torch.sum(g * normal, dim=0)
        if sums is not None:
            sums[0, at, part] = total
    return dx, sums


rms_norm_sums = sum_of_shares("rms_norm")


# --- operators


def _forward(
    x: torch.Tensor, residual: torch.Tensor | None, weight: torch.Tensor | None, n: int, eps: float
) -> tuple[torch.Tensor, ...]:
    if x.numel() == 0:
        return _fake(x, residual, weight, n, eps)
    rows = None if residual is None else as_rows(residual, n)
    out, total, inverse = rms_norm_rows(as_rows(x, n), rows, as_row(weight, n), eps)
    return shaped(out, x.size()), x.new_empty(0) if total is None else shaped(total, x.size()), inverse


def _fake(
    x: torch.Tensor, residual: torch.Tensor | None, weight: torch.Tensor | None, n: int, eps: float
) -> tuple[torch.Tensor, ...]:
    out = torch.empty(x.size(), dtype=x.dtype, device=x.device)
    inverse = torch.empty([x.numel() // max(n, 1)], dtype=torch.float32, device=x.device)
    return out, x.new_empty(0) if residual is None else torch.empty_like(out), inverse


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[torch.Tensor, ...]) -> None:
    x, residual, weight, ctx.n, _ = inputs
    _, total, inverse = output
    ctx.residual = residual is not None
    ctx.save_for_backward(total if ctx.residual else x, weight, inverse)
    ctx.mark_non_differentiable(inverse, *(() if ctx.residual else (total,)))


def _gradients(
    ctx: Any, grad: torch.Tensor | None, grad_total: torch.Tensor | None, _: Any
) -> tuple[torch.Tensor | None, ...]:
    x, weight, inverse = ctx.saved_tensors
    if grad is None:
        return grad_total, grad_total, None, None, None
    dx, dweight = rms_norm_backward_op(grad, grad_total if ctx.residual else None, x, weight, inverse, ctx.n)
    return dx, dx if ctx.residual else None, None if weight is None else dweight, None, None


def _backward(
    grad: torch.Tensor, grad_total: torch.Tensor | None, x: torch.Tensor, weight: torch.Tensor | None,
    inverse: torch.Tensor, n: int,
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    if x.numel() == 0:
        dx, dweight = _fake_backward(grad, grad_total, x, weight, inverse, n)
        return dx, dweight.zero_()
    flat = as_row(weight, n)
    rows = None if grad_total is None else as_rows(grad_total, n)
    given = as_rows(grad, n), as_rows(x, n), flat, inverse
    if n > LONGEST_ROW:
        count = shares_of_parts(x.numel() // n, n, x.device)
        dx, shares = rms_norm_parts_backward(given[0], rows, *given[1:], rms_norm_means(*given), count)
    else:
        dx, shares = rms_norm_rows_backward(given[0], rows, *given[1:], units(x.numel() // n, x.device))
    dweight = x.new_empty(0) if weight is None else shaped(rms_norm_sums(shares, weight.dtype, None)[0], weight.size())
    return shaped(dx, x.size()), dweight


def _fake_backward(
    grad: torch.Tensor, grad_total: torch.Tensor | None, x: torch.Tensor, weight: torch.Tensor | None,
    inverse: torch.Tensor, n: int,
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    dx = torch.empty(x.size(), dtype=x.dtype, device=x.device)
    if weight is None:
        return dx, x.new_empty(0)
    return dx, torch.empty(weight.size(), dtype=weight.dtype, device=x.device)


rms_norm_op = operator(
    "rms_norm(Tensor x, Tensor? residual, Tensor? weight, int n, float eps) -> (Tensor, Tensor, Tensor)",
    _forward, _fake, _gradients, _save,
)  # fmt: skip
rms_norm_backward_op = operator(
    "rms_norm_backward(Tensor grad, Tensor? grad_total, Tensor x, Tensor? weight, Tensor inverse, int n)"
    " -> (Tensor, Tensor)",
    _backward, _fake_backward,
)  # fmt: skip


# --- function


def rms_norm(
    x: torch.Tensor, normalized_shape: Sequence[int], weight: torch.Tensor | None = None, eps: float | None = None,
    *, residual: torch.Tensor | None = None,
) -> Any:  # fmt: skip
    """`x` divided by its root mean square over the last dimensions, as `torch.nn.functional.rms_norm`.

    normalized_shape: the sizes of those dimensions, and of `weight`. eps: default that of float32. residual: of the
    shape and dtype of `x`, added first; then the result is a pair (y, x + residual).
    """
    eps = torch.finfo(torch.float64 if x.dtype is torch.float64 else torch.float32).eps if eps is None else eps
    fits = normalizes(x, normalized_shape, weight)
    if residual is not None:
        fits = fits and residual.shape == x.shape and residual.dtype is x.dtype
    if not fits or not usable("rms_norm", x, weight, residual):
        total = x if residual is None else x + residual
        y = torch.nn.functional.rms_norm(total, list(normalized_shape), weight, eps)
        return y if residual is None else (y, total)
    y, total, _ = rms_norm_op(x, residual, weight, row_length(normalized_shape), eps)
    return y if residual is None else (y, total)


# --- samples


def calls(shape: Shape, dtype: torch.dtype, device: torch.device) -> Iterator[Call]:
    """shape: rows, columns."""
    weight = randn(shape[1:], dtype, device)
    yield Call("plain", rms_norm, (randn(shape, dtype, device), shape[1:], weight))
    with_residual = {"residual": randn(shape, dtype, device)}
    yield Call("residual", rms_norm, (randn(shape, dtype, device), shape[1:], weight), with_residual)
