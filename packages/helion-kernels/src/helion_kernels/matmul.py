"""Matrix products with fused epilogues: activation(x @ y + bias) + residual, and their gradients.

Accumulated in float32; float32 products are in TF32 where torch's own setting allows it. Nothing is added atomically:
parts of a split inner dimension are written and summed in order, so every run gives the same bits. Transposed and
strided operands are read as they are, and batches that are broadcast are never expanded in memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import torch

import helion.language as hl
from helion.runtime.launching.device import multiprocessors

from .frame import Call, kernel, operator, usable
from .frame.activations import activated, by_torch, checked, derivative
from .frame.products import product_kernel
from .frame.rows import as_rows, begin_of, part_loop, shaped, shares_of_parts, sum_of_shares
from .frame.samples import Shape, randn
from .frame.support import decline

SMALL: Shape = (20, 24, 40)
SHAPES: tuple[Shape, ...] = (  # of layers with 4096 and 8192 features
    *((m, 4096, 4096) for m in (4096, 1, 16, 64, 512, 8192)),
    *((4096, 11008, 4096), (4096, 4096, 11008)),
    *((m, n, k) for n, k in ((28672, 8192), (8192, 28672), (1024, 8192)) for m in (16, 8192)),
)


# --- kernels


def _halves(
    x: torch.Tensor, y: torch.Tensor, bias: torch.Tensor | None, residual: torch.Tensor | None, activation: str, *_: Any
) -> dict[str, Any]:
    """Half a tile of the result at a time where the epilogue is more than a sum: it spills nothing then."""
    return {"epilogue_subtile": 2} if activation != "none" and min(x.size(0), y.size(1)) >= 128 else {}


@product_kernel("matmul", prefer=_halves)
def matmul_tiles(
    x: torch.Tensor, y: torch.Tensor, bias: torch.Tensor | None, residual: torch.Tensor | None, activation: str,
    keep: bool,
) -> tuple[torch.Tensor, torch.Tensor | None]:  # fmt: skip
    """x [m, k], y [k, n], bias [n], residual [m, n]. With `keep` also the argument of the activation."""
    m, k, n = x.size(0), x.size(1), y.size(1)
    out = torch.empty([m, n], dtype=x.dtype, device=x.device)
    kept = torch.empty([m, n], dtype=x.dtype, device=x.device) if keep else None
    for tile_m, tile_n in hl.tile([m, n]):
        acc = hl.zeros([tile_m, tile_n], dtype=torch.float32)
        for tile_k in hl.tile(k):
            acc = torch.addmm(acc, x[tile_m, tile_k], y[tile_k, tile_n])
        if bias is not None:
            acc = acc + bias[tile_n].to(torch.float32)
        if kept is not None:
            kept[tile_m, tile_n] = acc.to(x.dtype)
        acc = activated(acc, activation)
        if residual is not None:
            acc = acc + residual[tile_m, tile_n].to(torch.float32)
        out[tile_m, tile_n] = acc.to(x.dtype)
    return out, kept


@product_kernel("matmul")
def matmul_batches(
    x: torch.Tensor, y: torch.Tensor, bias: torch.Tensor | None, residual: torch.Tensor | None, activation: str,
    keep: bool, batch: tuple[int, int],
) -> tuple[torch.Tensor, torch.Tensor | None]:  # fmt: skip
    """x [a, b, m, k] and y [a, b, k, n], either of which may have 1 for a or b; residual [a, b, m, n]."""
    m, k, n = x.size(2), x.size(3), y.size(3)
    count = batch[1]
    out = torch.empty([batch[0], count, m, n], dtype=x.dtype, device=x.device)
    kept = torch.empty([batch[0], count, m, n], dtype=x.dtype, device=x.device) if keep else None
    for tile_b, tile_m, tile_n in hl.tile([batch[0] * count, m, n], block_size=[1, None, None]):
        i, j = tile_b.begin // count, tile_b.begin % count
        x_i, x_j = i if x.size(0) > 1 else 0, j if x.size(1) > 1 else 0
        y_i, y_j = i if y.size(0) > 1 else 0, j if y.size(1) > 1 else 0
        acc = hl.zeros([tile_m, tile_n], dtype=torch.float32)
        for tile_k in hl.tile(k):
            acc = torch.addmm(acc, x[x_i, x_j, tile_m, tile_k], y[y_i, y_j, tile_k, tile_n])
        if bias is not None:
            acc = acc + bias[tile_n].to(torch.float32)
        if kept is not None:
            kept[i, j, tile_m, tile_n] = acc.to(x.dtype)
        acc = activated(acc, activation)
        if residual is not None:
            acc = acc + residual[i, j, tile_m, tile_n].to(torch.float32)
        out[i, j, tile_m, tile_n] = acc.to(x.dtype)
    return out, kept


@product_kernel("matmul")
def matmul_parts(x: torch.Tensor, y: torch.Tensor, parts: Annotated[int, hl.constexpr]) -> torch.Tensor:
    """Products of `parts` runs of a long inner dimension, float32 [parts, m, n], where the result has few tiles."""
    m, k, n = x.size(0), x.size(1), y.size(1)
    out = torch.empty([parts, m, n], dtype=torch.float32, device=x.device)
    length = (k + parts - 1) // parts
    for tile_p, tile_m, tile_n in hl.tile([parts, m, n], block_size=[1, None, None]):
        begin = tile_p.begin * length
        acc = hl.zeros([tile_m, tile_n], dtype=torch.float32)
        for tile_k in hl.tile(begin, min(begin + length, k)):
            acc = torch.addmm(acc, x[tile_m, tile_k], y[tile_k, tile_n])
        out[tile_p.begin, tile_m, tile_n] = acc
    return out


@kernel("matmul")
def matmul_sum(
    parts: torch.Tensor, bias: torch.Tensor | None, residual: torch.Tensor | None, activation: str, keep: bool,
    dtype: torch.dtype,
) -> tuple[torch.Tensor, torch.Tensor | None]:  # fmt: skip
    """The sum of parts [p, m, n] in their order, and the epilogue."""
    p, m, n = parts.size()
    out = torch.empty([m, n], dtype=dtype, device=parts.device)
    kept = torch.empty([m, n], dtype=dtype, device=parts.device) if keep else None
    for tile_m, tile_n in hl.tile([m, n]):
        acc = hl.zeros([tile_m, tile_n], dtype=torch.float32)
        for part in hl.grid(p):
            acc = acc + parts[part, tile_m, tile_n]
        if bias is not None:
            acc = acc + bias[tile_n].to(torch.float32)
        if kept is not None:
            kept[tile_m, tile_n] = acc.to(dtype)
        acc = activated(acc, activation)
        if residual is not None:
            acc = acc + residual[tile_m, tile_n].to(torch.float32)
        out[tile_m, tile_n] = acc.to(dtype)
    return out, kept


@kernel("matmul", prefer=part_loop)
def matmul_epilogue_backward(
    grad: torch.Tensor, kept: torch.Tensor | None, activation: str, sums: bool, shares: Annotated[int, hl.constexpr]
) -> tuple[torch.Tensor | None, torch.Tensor | None]:
    """Gradients [m, n] at the argument of the activation, and where `sums`, their sums [1, shares, n]."""
    m, n = grad.size()
    inner = torch.empty([m, n], dtype=grad.dtype, device=grad.device) if kept is not None else None
    totals = torch.empty([1, shares, n], dtype=torch.float32, device=grad.device) if sums else None
    for share, tile_n in hl.tile([shares, n], block_size=[1, None]):
        at = share.begin
        total = hl.zeros([tile_n], dtype=torch.float32)
        for tile_m in hl.tile(begin_of(at, m, shares), begin_of(at + 1, m, shares)):
            g = grad[tile_m, tile_n].to(torch.float32)
            if kept is not None and inner is not None:
                g = g * derivative(kept[tile_m, tile_n].to(torch.float32), activation)
                inner[tile_m, tile_n] = g.to(grad.dtype)
            total = total + g.sum(0)
        if totals is not None:
            totals[0, at, tile_n] = total
    return inner, totals


matmul_bias_sums = sum_of_shares("matmul")


# --- which kernel


def split(m: int, n: int, k: int, units: int) -> int:
    """Into how many parts to cut k so that `units` multiprocessors have work; 1 where tiles of the result suffice.

    A part is at least 512 elements long, and there are at most 16, since all of them are written and read again.
    """
    tiles = math.ceil(m / 128) * math.ceil(n / (64 if m <= 64 else 128))
    if tiles * 2 > units:
        return 1
    return max(1, min(units // tiles, k // 512, 16))


def _as_rows(x: torch.Tensor) -> torch.Tensor | None:
    """x [..., m, k] as [rows, k] without a copy, where its strides allow that."""
    try:
        return x if x.dim() == 2 else x.view(-1, x.size(-1))
    except RuntimeError:
        return None


def _as_four(tensors: Sequence[torch.Tensor], batch: Sequence[int]) -> tuple[tuple[int, int], list[torch.Tensor]]:
    """Two batch dims (a, b), and views [a or 1, b or 1, rows, columns].

    Neighbouring batch dims are merged where all strides allow that. Copies are made only if more than two are left.
    """
    expanded = [t.expand(*batch, *t.shape[-2:]) for t in tensors]
    groups: list[int] = []
    last = 0
    for d, size in enumerate(batch):
        if size == 1:
            continue
        if groups and all(t.stride(last) == t.stride(d) * size for t in expanded):
            groups[-1] *= size
        else:
            groups.append(size)
        last = d
    sizes = (math.prod(groups[:-1]), groups[-1] if groups else 1)
    whole = [t.reshape(*sizes, *t.shape[-2:]) for t in expanded]
    return sizes, [_once(t) for t in whole]


def _once(t: torch.Tensor) -> torch.Tensor:
    """Batch dims in which `t` is the same all along, with size 1."""
    for d in (0, 1):
        if t.stride(d) == 0 and t.size(d) > 1:
            t = t.narrow(d, 0, 1)
    return t


def _batch(x: torch.Tensor, y: torch.Tensor) -> torch.Size:
    left, right = x.shape[:-2], y.shape[:-2]
    return left if left == right or not right else torch.broadcast_shapes(left, right)


# --- operators


def _forward(
    x: torch.Tensor, y: torch.Tensor, bias: torch.Tensor | None, residual: torch.Tensor | None, activation: str,
    keep: bool,
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    size = (*_batch(x, y), x.size(-2), y.size(-1))
    rows = _as_rows(x) if y.dim() == 2 else None
    if rows is not None:
        out, kept = _two(rows, y, bias, None if residual is None else residual.reshape(-1, size[-1]), activation, keep)
    else:
        batch, (four_x, four_y, *rest) = _as_four([x, y] if residual is None else [x, y, residual], size[:-2])
        out, kept = matmul_batches(four_x, four_y, bias, rest[0] if rest else None, activation, keep, batch)
    return out.view(size), x.new_empty(0) if kept is None else kept.view(size)


def _two(
    x: torch.Tensor, y: torch.Tensor, bias: torch.Tensor | None, residual: torch.Tensor | None, activation: str,
    keep: bool,
) -> tuple[torch.Tensor, torch.Tensor | None]:  # fmt: skip
    parts = split(x.size(0), y.size(1), x.size(1), multiprocessors(x))
    if parts == 1:
        return matmul_tiles(x, y, bias, residual, activation, keep)
    return matmul_sum(matmul_parts(x, y, parts), bias, residual, activation, keep, x.dtype)


def _fake(
    x: torch.Tensor, y: torch.Tensor, bias: torch.Tensor | None, residual: torch.Tensor | None, activation: str,
    keep: bool,
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    size = (*_batch(x, y), x.size(-2), y.size(-1))
    return x.new_empty(size), x.new_empty(size if keep else 0)


def _epilogue_backward(
    grad: torch.Tensor, kept: torch.Tensor | None, activation: str, sums: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    n = grad.size(-1)
    rows, before = as_rows(grad, n), None if kept is None else as_rows(kept, n)
    shares = shares_of_parts(rows.size(0), n, grad.device)
    inner, totals = matmul_epilogue_backward(rows, before, activation, sums, shares)
    dbias = grad.new_empty(0) if totals is None else matmul_bias_sums(totals, grad.dtype, None)[0]
    return grad.new_empty(0) if inner is None else shaped(inner, grad.size()), dbias


def _fake_epilogue_backward(
    grad: torch.Tensor, kept: torch.Tensor | None, activation: str, sums: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    inner = grad.new_empty(grad.size() if kept is not None else 0)
    return inner, grad.new_empty(grad.size(-1) if sums else 0)


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[torch.Tensor, torch.Tensor]) -> None:
    x, y, _, residual, ctx.activation, keep = inputs
    ctx.save_for_backward(x, y, output[1] if keep else None)
    ctx.residual = residual is not None
    ctx.mark_non_differentiable(output[1])


def _gradients(ctx: Any, grad: torch.Tensor | None, _: Any) -> tuple[torch.Tensor | None, ...]:
    if grad is None:
        return (None,) * 6
    x, y, kept = ctx.saved_tensors
    need_x, need_y, need_bias, *_rest = ctx.needs_input_grad
    inner, dbias = grad, None
    if kept is not None or need_bias:
        changed, sums = epilogue_backward_op(grad, kept, ctx.activation, need_bias)
        inner, dbias = grad if kept is None else changed, sums if need_bias else None
    dx = product(inner, y.transpose(-1, -2)).sum_to_size(x.size()) if need_x else None
    dy = _right_gradient(x, y, inner) if need_y else None
    return dx, dy, dbias, grad if ctx.residual else None, None, None


def _right_gradient(x: torch.Tensor, y: torch.Tensor, grad: torch.Tensor) -> torch.Tensor:
    if y.dim() == 2:  # one product over all rows instead of a sum of products
        x, grad = x.reshape(-1, x.size(-1)), grad.reshape(-1, grad.size(-1))
    return product(x.transpose(-1, -2), grad).sum_to_size(y.size())


def product(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """x @ y by the operator, both with at least two dims."""
    return matmul_op(x, y, None, None, "none", False)[0]


matmul_op = operator(
    "matmul(Tensor x, Tensor y, Tensor? bias, Tensor? residual, str activation, bool keep) -> (Tensor, Tensor)",
    _forward, _fake, _gradients, _save,
)  # fmt: skip
epilogue_backward_op = operator(
    "matmul_epilogue_backward(Tensor grad, Tensor? kept, str activation, bool sums) -> (Tensor, Tensor)",
    _epilogue_backward, _fake_epilogue_backward,
)  # fmt: skip


# --- functions


def matmul(
    x: torch.Tensor, y: torch.Tensor, *, bias: torch.Tensor | None = None, activation: str | None = None,
    residual: torch.Tensor | None = None,
) -> torch.Tensor:  # fmt: skip
    """activation(x @ y + bias) + residual, with `x @ y` as `torch.matmul`.

    x [..., m, k], y [..., k, n] with batches that broadcast, or vectors; float32, float16 or bfloat16. bias [n].
    activation: "relu", "gelu", "gelu_tanh" or "silu". residual: of the size of the result. Without an activation it has
    second derivatives. Raises `InvalidArgument` for another activation.
    """
    name = checked(activation)
    if not _takes(x, y, bias, residual):
        return _by_torch(x, y, bias, name, residual)
    if x.dim() > 1 and y.dim() > 1:
        return _called(x, y, bias, residual, name)
    dim = -2 if x.dim() == 1 else -1
    left = x[None] if x.dim() == 1 else x
    right = y[:, None] if y.dim() == 1 else y
    out = _called(left, right, bias, None if residual is None else residual.unsqueeze(dim), name).squeeze(dim)
    return out.squeeze(-1) if x.dim() == y.dim() == 1 else out


def _called(
    x: torch.Tensor, y: torch.Tensor, bias: torch.Tensor | None, residual: torch.Tensor | None, activation: str
) -> torch.Tensor:
    keep = activation != "none" and torch.is_grad_enabled() and any(
        t is not None and t.requires_grad for t in (x, y, bias)
    )  # fmt: skip
    return matmul_op(x, y, bias, residual, activation, keep)[0]


def _by_torch(
    x: torch.Tensor, y: torch.Tensor, bias: torch.Tensor | None, activation: str, residual: torch.Tensor | None
) -> torch.Tensor:
    out = torch.matmul(x, y)
    out = by_torch(out if bias is None else out + bias, activation)
    return out if residual is None else out + residual


def _takes(x: torch.Tensor, y: torch.Tensor, bias: torch.Tensor | None, residual: torch.Tensor | None) -> bool:
    """Whether the kernels take the call; torch has empty products, too, and its errors for sizes that do not fit."""
    if not usable("matmul", x, y, bias, residual) or 0 in (x.dim(), y.dim()) or 0 in (*x.size(), *y.size()):
        return False
    if any(t is not None and t.dtype != x.dtype for t in (y, bias, residual)):
        return False
    if x.size(-1) != y.size(-2 if y.dim() > 1 else 0):
        return False
    if x.dim() == y.dim() == 1 and (bias is not None or residual is not None):
        return False
    return _epilogue_fits(x, y, bias, residual)


def _epilogue_fits(x: torch.Tensor, y: torch.Tensor, bias: torch.Tensor | None, residual: torch.Tensor | None) -> bool:
    if bias is not None and (y.dim() == 1 or bias.size() != y.shape[-1:]):
        decline("matmul", "a bias that is not one row")
        return False
    try:
        size = _batch(x, y) + x.shape[-2:-1] + (y.shape[-1:] if y.dim() > 1 else torch.Size())
    except RuntimeError:
        return False
    return residual is None or residual.size() == size


# --- samples


def calls(shape: Shape, dtype: torch.dtype, device: torch.device) -> Iterator[Call]:
    """shape: rows of x, columns of y, inner dimension. y is a transposed weight, as in layers."""
    m, n, k = shape
    yield Call("plain", matmul, (randn((m, k), dtype, device), randn((n, k), dtype, device).t()))
    bias, residual = randn((n,), dtype, device), randn((m, n), dtype, device)
    options = {"bias": bias, "activation": "gelu", "residual": residual}
    yield Call("epilogue", matmul, (randn((m, k), dtype, device), randn((n, k), dtype, device).t()), options)
    if m * n * k < 2**32:
        yield Call("batched", matmul, (randn((4, m, k), dtype, device), randn((4, k, n), dtype, device)))
