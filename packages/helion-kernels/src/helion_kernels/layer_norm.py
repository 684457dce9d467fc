"""Layer norm (Ba, Kiros and Hinton, 2016).

y = n * weight + bias with n = (x - mean) * rstd and rstd = 1 / sqrt(var + eps). With g = dy * weight:
dx = rstd * (g - mean(g) - n * mean(g * n)), dweight = sum over rows of dy * n, dbias = sum over rows of dy.

As `torch.nn.functional.layer_norm`. Deterministic: dweight and dbias are summed in two stages of fixed order, without
atomics.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

import helion.language as hl

from .frame import Call, kernel, operator, usable
from .frame.rows import (
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
SHAPES: tuple[Shape, ...] = ((8192, 1024), (8192, 4096), (8192, 5120), (8192, 8192), (4096, 16384), (64, 4096))


@kernel("layer_norm", static_shapes=False)
def layer_norm_rows(
    x: torch.Tensor, weight: torch.Tensor | None, bias: torch.Tensor | None, eps: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """y, and mean and rstd of every row for the gradients."""
    m, n = x.size(0), hl.specialize(x.size(1))
    out = torch.empty([m, n], dtype=x.dtype, device=x.device)
    mean = torch.empty([m], dtype=torch.float32, device=x.device)
    rstd = torch.empty([m], dtype=torch.float32, device=x.device)
    for tile in hl.tile(m):
        row = x[tile, :].to(torch.float32)
        factor = None if weight is None else weight[:]  # on the way while sums are made
        shift = None if bias is None else bias[:]
        variance, average = torch.var_mean(row, dim=-1, keepdim=True, correction=0)
        scale = torch.rsqrt(variance + eps)
        y = (row - average) * scale
        if factor is not None:
            y = y * factor.to(torch.float32)
        if shift is not None:
            y = y + shift.to(torch.float32)
        out[tile, :] = y
        mean[tile] = average.squeeze(-1)
        rstd[tile] = scale.squeeze(-1)
    return out, mean, rstd


def _held(x: torch.Tensor) -> int:
    """Bytes a column of what a program of the backward pass holds: dy, x and the weight, and two sums."""
    return 3 * x.element_size() + 2 * 4


def _given(
    grad: Any, x: Any, mean: Any, rstd: Any, rows: Any, end: Any, policy: str | None = None
) -> tuple[Any, Any, Any, Any]:  # fmt: skip
    """What the gradient of `rows` below `end` needs. `policy`: see `hl.load`."""
    there = rows < end
    g = hl.load(grad, [rows, slice(None)], extra_mask=there[:, None], eviction_policy=policy)
    row = hl.load(x, [rows, slice(None)], extra_mask=there[:, None], eviction_policy=policy)
    return g, row, hl.load(mean, [rows], extra_mask=there)[:, None], hl.load(rstd, [rows], extra_mask=there)[:, None]


def _terms(given: tuple[Any, ...], factor: Any) -> tuple[Any, Any, Any]:
    """dy, n and g of rows; `given`: see `_given`; `factor`: the weight."""
    g, x, mean, rstd = given
    grad = g.to(torch.float32)
    normal = (x.to(torch.float32) - mean) * rstd
    return grad, normal, grad if factor is None else grad * factor


def _added(a: Any, b: Any, c: Any, d: Any) -> tuple[Any, Any]:
    return a + c, b + d


@kernel("layer_norm", prefer=lambda grad, x, *_: row_loop(x, _held(x)), static_shapes=False)
def layer_norm_rows_backward(
    grad: torch.Tensor, x: torch.Tensor, weight: torch.Tensor | None, mean: torch.Tensor, rstd: torch.Tensor,
    with_bias: bool, units: int,
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    """dx, and for each program the sums of dweight and dbias (those that are wanted) over its share of the rows."""
    m, n = x.size(0), hl.specialize(x.size(1))
    programs = units * hl.register_tunable("programs_per_unit", hl.PowerOfTwoFragment(1, 16))
    dx = torch.empty([m, n], dtype=x.dtype, device=x.device)
    kinds = (weight is not None) + with_bias
    sums = torch.empty([kinds, programs, n], dtype=torch.float32, device=x.device)
    block = hl.register_block_size(1, 64)
    for at in hl.grid(programs):
        ahead, again = loads_ahead(x, _held(x)), reads_again(x, _held(x))
        first, stride, end = share_of_rows(at, m, n, programs)
        weight_sum = hl.zeros([block, n], dtype=torch.float32)
        bias_sum = hl.zeros([block, n], dtype=torch.float32)
        factor = None if again else weight_row(weight)
        coming: Any = _given(grad, x, mean, rstd, first + hl.arange(block) * stride, end) if ahead else None
        for tile in hl.tile((m + programs - 1) // programs, block_size=block):
            rows = first + tile.index * stride
            if ahead:
                given, coming = coming, _given(grad, x, mean, rstd, rows + block * stride, end)
            else:
                given = _given(grad, x, mean, rstd, rows, end, "evict_last" if again else None)
            g, normal, weighted = _terms(given, weight_row(weight, "evict_last") if again else factor)
            if ahead:  # together, since one wait for other warps is less than two
                inner, average = hl.reduce(_added, (weighted * normal, weighted), -1, keep_dims=True)
            else:
                inner, average = (torch.sum(v, dim=-1, keepdim=True) for v in (weighted * normal, weighted))
            if again:
                given = _given(grad, x, mean, rstd, rows, end, "evict_first")
                g, normal, weighted = _terms(given, weight_row(weight, "evict_first"))
            change = given[3] * (weighted - average / n - normal * (inner / n))
            hl.store(dx, [rows, slice(None)], change, extra_mask=(rows < end)[:, None])
            if weight is not None:
                weight_sum += g * normal
            if with_bias:
                bias_sum += g
        if weight is not None:
            sums[0, at, :] = weight_sum.sum(0)
        if with_bias:
            sums[kinds - 1, at, :] = bias_sum.sum(0)
    return dx, sums


@kernel("layer_norm", static_shapes=False)
def layer_norm_means(
    grad: torch.Tensor, x: torch.Tensor, weight: torch.Tensor | None, mean: torch.Tensor, rstd: torch.Tensor
) -> torch.Tensor:
    """mean(g) and mean(g * n) of every row: what the parts of a long row need of the whole."""
    m, n = x.size(0), hl.specialize(x.size(1))
    means = torch.empty([2, m], dtype=torch.float32, device=x.device)
    for tile in hl.tile(m):
        normal = (x[tile, :].to(torch.float32) - mean[tile, None]) * rstd[tile, None]
        g = grad[tile, :].to(torch.float32)
        weighted = g if weight is None else g * weight[:].to(torch.float32)
        means[0, tile] = torch.sum(weighted, dim=-1) / n
        means[1, tile] = torch.sum(weighted * normal, dim=-1) / n
    return means


@kernel("layer_norm", prefer=part_loop, static_shapes=False)
def layer_norm_parts_backward(
    grad: torch.Tensor, x: torch.Tensor, weight: torch.Tensor | None, mean: torch.Tensor, rstd: torch.Tensor,
    means: torch.Tensor, with_bias: bool, shares: int,
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    """As `layer_norm_rows_backward`, for a part of the columns at a time. `means`: of `layer_norm_means`."""
    m, n = x.size(0), hl.specialize(x.size(1))
    dx = torch.empty([m, n], dtype=x.dtype, device=x.device)
    kinds = (weight is not None) + with_bias
    sums = torch.empty([kinds, shares, n], dtype=torch.float32, device=x.device)
    for share, part in hl.tile([shares, n], block_size=[1, None]):
        at = share.begin
        weight_sum = hl.zeros([part], dtype=torch.float32)
        bias_sum = hl.zeros([part], dtype=torch.float32)
        factor = None if weight is None else weight[part].to(torch.float32)
        for tile in hl.tile(begin_of(at, m, shares), begin_of(at + 1, m, shares)):
            g = grad[tile, part].to(torch.float32)
            normal = (x[tile, part].to(torch.float32) - mean[tile, None]) * rstd[tile, None]
            weighted = g if factor is None else g * factor
            dx[tile, part] = rstd[tile, None] * (weighted - means[0, tile][:, None] - normal * means[1, tile][:, None])
            weight_sum += torch.sum(g * normal, dim=0)
            bias_sum += torch.sum(g, dim=0)
        if weight is not None:
            sums[0, at, part] = weight_sum
        if with_bias:
            sums[kinds - 1, at, part] = bias_sum
    return dx, sums


layer_norm_sums = sum_of_shares("layer_norm")


# --- operators


def _forward(
    x: torch.Tensor, weight: torch.Tensor | None, bias: torch.Tensor | None, n: int, eps: float
) -> tuple[torch.Tensor, ...]:
    if x.numel() == 0:
        return _fake(x, weight, bias, n, eps)
    out, mean, rstd = layer_norm_rows(as_rows(x, n), as_row(weight, n), as_row(bias, n), eps)
    return shaped(out, x.size()), mean, rstd


def _fake(
    x: torch.Tensor, weight: torch.Tensor | None, bias: torch.Tensor | None, n: int, eps: float
) -> tuple[torch.Tensor, ...]:
    rows = torch.empty([x.numel() // max(n, 1)], dtype=torch.float32, device=x.device)
    return torch.empty(x.size(), dtype=x.dtype, device=x.device), rows, torch.empty_like(rows)


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[torch.Tensor, ...]) -> None:
    x, weight, bias, ctx.n, _ = inputs
    _, mean, rstd = output
    ctx.save_for_backward(x, weight, bias, mean, rstd)
    ctx.mark_non_differentiable(mean, rstd)


def _gradients(ctx: Any, grad: torch.Tensor | None, *_: Any) -> tuple[torch.Tensor | None, ...]:
    x, weight, bias, mean, rstd = ctx.saved_tensors
    if grad is None:
        return None, None, None, None, None
    dx, dweight, dbias = layer_norm_backward_op(grad, x, weight, bias, mean, rstd, ctx.n)
    return dx, None if weight is None else dweight, None if bias is None else dbias, None, None


def _backward(
    grad: torch.Tensor, x: torch.Tensor, weight: torch.Tensor | None, bias: torch.Tensor | None,
    mean: torch.Tensor, rstd: torch.Tensor, n: int,
) -> tuple[torch.Tensor, ...]:  # fmt: skip
    if x.numel() == 0:
        dx, *zeros = _fake_backward(grad, x, weight, bias, mean, rstd, n)
        return dx, *(z.zero_() for z in zeros)
    rows = x.numel() // n
    given = as_rows(grad, n), as_rows(x, n), as_row(weight, n), mean, rstd
    if n > LONGEST_ROW:
        means = layer_norm_means(*given)
        count = shares_of_parts(rows, n, x.device)
        dx, shares = layer_norm_parts_backward(*given, means, bias is not None, count)
    else:
        dx, shares = layer_norm_rows_backward(*given, bias is not None, units(rows, x.device))
    return shaped(dx, x.size()), *_summed(shares, weight, bias)


def _summed(shares: torch.Tensor, *parameters: torch.Tensor | None) -> Iterator[torch.Tensor]:
    """The gradients of `parameters`; empty for None."""
    dtypes = [p.dtype for p in parameters if p is not None]
    sums = iter(layer_norm_sums(shares, *dtypes, *[None] * (2 - len(dtypes))) if dtypes else ())
    for p in parameters:
        yield shares.new_empty(0) if p is None else shaped(next(sums), p.size())


def _fake_backward(
    grad: torch.Tensor, x: torch.Tensor, weight: torch.Tensor | None, bias: torch.Tensor | None,
    mean: torch.Tensor, rstd: torch.Tensor, n: int,
) -> tuple[torch.Tensor, ...]:  # fmt: skip
    dx = torch.empty(x.size(), dtype=x.dtype, device=x.device)
    return dx, *(
        x.new_empty(0) if p is None else torch.empty(p.size(), dtype=p.dtype, device=x.device) for p in (weight, bias)
    )


layer_norm_op = operator(
    "layer_norm(Tensor x, Tensor? weight, Tensor? bias, int n, float eps) -> (Tensor, Tensor, Tensor)",
    _forward, _fake, _gradients, _save,
)  # fmt: skip
layer_norm_backward_op = operator(
    "layer_norm_backward(Tensor grad, Tensor x, Tensor? weight, Tensor? bias, Tensor mean, Tensor rstd, int n)"
    " -> (Tensor, Tensor, Tensor)",
    _backward, _fake_backward,
)  # fmt: skip


# --- function


def layer_norm(
    x: torch.Tensor, normalized_shape: Sequence[int], weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None, eps: float = 1e-5,
) -> torch.Tensor:  # fmt: skip
    """`x` with mean 0 and variance 1 over the last dimensions, as `torch.nn.functional.layer_norm`.

    normalized_shape: the sizes of those dimensions, and of `weight` and `bias`.
    """
    if not normalizes(x, normalized_shape, weight, bias) or not usable("layer_norm", x, weight, bias):
        return torch.nn.functional.layer_norm(x, list(normalized_shape), weight, bias, eps)
    return layer_norm_op(x, weight, bias, row_length(normalized_shape), eps)[0]


# --- samples


def calls(shape: Shape, dtype: torch.dtype, device: torch.device) -> Iterator[Call]:
    """shape: rows, columns."""
    weight, bias = randn(shape[1:], dtype, device), randn(shape[1:], dtype, device)
    yield Call("weight and bias", layer_norm, (randn(shape, dtype, device), shape[1:], weight, bias))
