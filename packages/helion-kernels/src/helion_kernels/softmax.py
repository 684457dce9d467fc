"""Softmax and its logarithm along one dimension.

softmax: y = exp(x - max(x)) / sum(exp(x - max(x))), dx = y * (dy - sum(dy * y)).
log_softmax: y = x - max(x) - log(sum(exp(x - max(x)))), dx = dy - exp(y) * sum(dy).

As `torch.nn.functional.softmax` and `log_softmax`. Deterministic: every row is summed in one order.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

import helion.language as hl

from .frame import Call, kernel, operator, usable
from .frame.rows import as_rows, shaped
from .frame.samples import Shape, randn
from .frame.support import DTYPES
from .frame.vectors import LANES, as_vectors, ends, in_reach, uneven, whole_vectors

SMALL: Shape = (5, 48)
SHAPES: tuple[Shape, ...] = (
    (8192, 1024), (8192, 4096), (8192, 8192), (4096, 32768), (4096, 50257), (4096, 65536), (2048, 131072),
)  # fmt: skip

RESIDENT = 32768  # longest row of which a program holds two tensors in registers
PART = 16384  # elements of a longer row that a program takes at once
STEP = 64 << 10  # bytes that a program loads of a tensor before it waits: 64 a thread, more would spill
BYTES_OF_A_WARP = 2048


def _value(x: torch.Tensor, high: torch.Tensor, total: torch.Tensor, log: bool) -> torch.Tensor:
    return x - high - torch.log(total) if log else torch.exp(x - high) / total


def _normalised(x: torch.Tensor, log: bool) -> torch.Tensor:
    """A tile of float32 values, along its second dimension."""
    high = torch.amax(x, dim=1, keepdim=True)
    return _value(x, high, torch.sum(torch.exp(x - high), dim=1, keepdim=True), log)


def _derivative(g: torch.Tensor, y: torch.Tensor, total: torch.Tensor, log: bool) -> torch.Tensor:
    return g - torch.exp(y) * total if log else y * (g - total)


def _gradient(g: torch.Tensor, y: torch.Tensor, log: bool) -> torch.Tensor:
    return _derivative(g, y, torch.sum(g if log else g * y, dim=1, keepdim=True), log)


@kernel("softmax", static_shapes=False)
def softmax_rows(x: torch.Tensor, dtype: torch.dtype, log: bool) -> torch.Tensor:
    """Of rows [m, n]."""
    m, n = x.size(0), hl.specialize(x.size(1))
    out = torch.empty([m, n], dtype=dtype, device=x.device)
    for tile in hl.tile(m):
        out[tile, :] = _normalised(x[tile, :].to(dtype).to(torch.float32), log)
    return out


@kernel("softmax", static_shapes=False)
def softmax_rows_backward(grad: torch.Tensor, out: torch.Tensor, dtype: torch.dtype, log: bool) -> torch.Tensor:
    m, n = out.size(0), hl.specialize(out.size(1))
    dx = torch.empty([m, n], dtype=dtype, device=out.device)
    for tile in hl.tile(m):
        dx[tile, :] = _gradient(grad[tile, :].to(torch.float32), out[tile, :].to(torch.float32), log)
    return dx


def _long_steps(*_: Any) -> dict[str, Any]:
    return {"block_sizes": [PART], "num_warps": 32}


@kernel("softmax", prefer=_long_steps, static_shapes=False)
def softmax_parts_backward(grad: torch.Tensor, out: torch.Tensor, dtype: torch.dtype, log: bool) -> torch.Tensor:
    """As `softmax_rows_backward`, for rows that registers cannot hold: they are read again, from the L2 cache."""
    m, n = out.size(0), hl.specialize(out.size(1))
    dx = torch.empty([m, n], dtype=dtype, device=out.device)
    block = hl.register_block_size(64, PART)
    for row in hl.grid(m):
        sums = hl.zeros([block], dtype=torch.float32)
        for part in hl.tile(n, block_size=block):
            g = hl.load(grad, [row, part], eviction_policy="evict_last").to(torch.float32)
            if log:
                sums += g
            else:
                sums += g * hl.load(out, [row, part], eviction_policy="evict_last").to(torch.float32)
        total = sums.sum()
        for part in hl.tile(n, block_size=block):
            g = hl.load(grad, [row, part], eviction_policy="evict_first").to(torch.float32)
            y = hl.load(out, [row, part], eviction_policy="evict_first").to(torch.float32)
            dx[row, part] = _derivative(g, y, total, log)
    return dx


def _one_program(x: torch.Tensor, *_: Any) -> dict[str, Any]:
    """Programs so large that a multiprocessor has one, of long rows: what they read again stays in the cache."""
    step = min(STEP, 1 << (x.size(1) * x.element_size() - 1).bit_length())
    warps = max(1, step // BYTES_OF_A_WARP)
    return {"block_sizes": [step // (LANES * x.element_size())], "num_warps": warps}


@kernel("softmax", prefer=_one_program, static_shapes=False)
def softmax_vectors(x: torch.Tensor, dtype: torch.dtype, log: bool) -> torch.Tensor:
    """As `softmax_rows`, for contiguous rows that begin at any element."""
    m, n = x.size(0), hl.specialize(x.size(1))
    out = torch.empty([m, n], dtype=dtype, device=x.device)
    x_vectors, out_vectors = as_vectors(x), as_vectors(out)
    block = hl.register_block_size(64, 4096)
    for row in hl.grid(m):
        begin, end = whole_vectors(row, n, n)
        column, inside = ends(row, n, n)
        rest = hl.load(x, [row, column], extra_mask=inside).to(dtype).to(torch.float32)
        rest = torch.where(inside, rest, float("-inf"))
        highs = hl.full([block, LANES], float("-inf"), dtype=torch.float32)
        for part in hl.tile(begin, end, block_size=block):
            highs = torch.maximum(highs, x_vectors[part, :].to(dtype).to(torch.float32))
        high = torch.maximum(highs.amax(), rest.amax())
        sums = hl.zeros([block, LANES], dtype=torch.float32)
        for part in hl.tile(begin, end, block_size=block):
            sums += torch.exp(x_vectors[part, :].to(dtype).to(torch.float32) - high)
        total = sums.sum() + torch.exp(rest - high).sum()
        for part in hl.tile(begin, end, block_size=block):
            out_vectors[part, :] = _value(x_vectors[part, :].to(dtype).to(torch.float32), high, total, log)
        hl.store(out, [row, column], _value(rest, high, total, log), extra_mask=inside)
    return out


@kernel("softmax", prefer=_one_program, static_shapes=False)
def softmax_vectors_backward(grad: torch.Tensor, out: torch.Tensor, dtype: torch.dtype, log: bool) -> torch.Tensor:
    """As `softmax_rows_backward`, for contiguous rows that begin at any element."""
    m, n = out.size(0), hl.specialize(out.size(1))
    dx = torch.empty([m, n], dtype=dtype, device=out.device)
    grad_vectors, out_vectors, dx_vectors = as_vectors(grad.view_as(out)), as_vectors(out), as_vectors(dx)
    block = hl.register_block_size(64, 4096)
    for row in hl.grid(m):
        begin, end = whole_vectors(row, n, n)
        column, inside = ends(row, n, n)
        g_rest, y_rest = (hl.load(t, [row, column], extra_mask=inside).to(torch.float32) for t in (grad, out))
        sums = hl.zeros([block, LANES], dtype=torch.float32)
        for part in hl.tile(begin, end, block_size=block):
            g = grad_vectors[part, :].to(torch.float32)
            sums += g if log else g * out_vectors[part, :].to(torch.float32)
        total = sums.sum() + (g_rest if log else g_rest * y_rest).sum()
        for part in hl.tile(begin, end, block_size=block):
            g, y = grad_vectors[part, :].to(torch.float32), out_vectors[part, :].to(torch.float32)
            dx_vectors[part, :] = _derivative(g, y, total, log)
        hl.store(dx, [row, column], _derivative(g_rest, y_rest, total, log), extra_mask=inside)
    return dx


@kernel("softmax")
def softmax_columns(x: torch.Tensor, dtype: torch.dtype, log: bool) -> torch.Tensor:
    """Along the middle of [outer, n, inner]: neighbours in memory belong to different sums."""
    outer, n, inner = x.size(0), hl.specialize(x.size(1)), x.size(2)
    out = torch.empty([outer, n, inner], dtype=dtype, device=x.device)
    for tile_o, tile_i in hl.tile([outer, inner]):
        out[tile_o, :, tile_i] = _normalised(x[tile_o, :, tile_i].to(dtype).to(torch.float32), log)
    return out


@kernel("softmax")
def softmax_columns_backward(grad: torch.Tensor, out: torch.Tensor, dtype: torch.dtype, log: bool) -> torch.Tensor:
    outer, n, inner = out.size(0), hl.specialize(out.size(1)), out.size(2)
    dx = torch.empty([outer, n, inner], dtype=dtype, device=out.device)
    for tile_o, tile_i in hl.tile([outer, inner]):
        g, y = grad[tile_o, :, tile_i].to(torch.float32), out[tile_o, :, tile_i].to(torch.float32)
        dx[tile_o, :, tile_i] = _gradient(g, y, log)
    return dx


# --- operators


def _three(x: torch.Tensor, dim: int) -> torch.Tensor:
    """x as [outer, x.size(dim), inner]; a view where the strides allow one."""
    return x.flatten(0, dim - 1).flatten(2) if dim else x.unsqueeze(0).flatten(2)


def _forward(x: torch.Tensor, dim: int, dtype: torch.dtype, log: bool) -> torch.Tensor:
    if x.numel() == 0:
        return _fake(x, dim, dtype, log)
    if dim == x.dim() - 1:
        rows = as_rows(x, x.size(-1))
        apart = uneven(x.size(-1)) and rows.is_contiguous() and in_reach(rows)
        forward = softmax_vectors if apart else softmax_rows
        return shaped(forward(rows, dtype, log), x.size())
    return shaped(softmax_columns(_three(x, dim), dtype, log), x.size())


def _fake(x: torch.Tensor, dim: int, dtype: torch.dtype, log: bool) -> torch.Tensor:
    return torch.empty(x.size(), dtype=dtype, device=x.device)


def _backward(grad: torch.Tensor, out: torch.Tensor, dim: int, dtype: torch.dtype, log: bool) -> torch.Tensor:
    if out.numel() == 0:
        return _fake(out, dim, dtype, log)
    if dim == out.dim() - 1:
        n = out.size(-1)
        grad, rows = as_rows(grad, n), as_rows(out, n)
        if uneven(n) and in_reach(rows):
            return shaped(softmax_vectors_backward(grad.contiguous(), rows.contiguous(), dtype, log), out.size())
        backward = softmax_parts_backward if n > RESIDENT else softmax_rows_backward
        return shaped(backward(grad, rows, dtype, log), out.size())
    return shaped(softmax_columns_backward(_three(grad, dim), _three(out, dim), dtype, log), out.size())


def _fake_backward(grad: torch.Tensor, out: torch.Tensor, dim: int, dtype: torch.dtype, log: bool) -> torch.Tensor:
    return torch.empty(out.size(), dtype=dtype, device=out.device)


def _save(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    x, ctx.dim, _, ctx.log = inputs
    ctx.dtype = x.dtype
    ctx.save_for_backward(output)


def _gradients(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    (out,) = ctx.saved_tensors
    return softmax_backward_op(grad, out, ctx.dim, ctx.dtype, ctx.log), None, None, None


softmax_op = operator(
    "softmax(Tensor x, int dim, ScalarType dtype, bool log) -> Tensor", _forward, _fake, _gradients, _save
)
softmax_backward_op = operator(
    "softmax_backward(Tensor grad, Tensor out, int dim, ScalarType dtype, bool log) -> Tensor",
    _backward,
    _fake_backward,
)


# --- functions


def softmax(x: torch.Tensor, dim: int = -1, dtype: torch.dtype | None = None) -> torch.Tensor:
    """Softmax of `x` along `dim`, in `dtype` (default: that of `x`), as `torch.nn.functional.softmax`.

    x: any shape; float32, float16 or bfloat16. The result is contiguous.
    """
    if not _takes("softmax", x, dim, dtype):
        return torch.softmax(x, dim, dtype)
    return softmax_op(x, dim % x.dim(), dtype or x.dtype, False)


def log_softmax(x: torch.Tensor, dim: int = -1, dtype: torch.dtype | None = None) -> torch.Tensor:
    """Logarithm of the softmax of `x` along `dim`, as `torch.nn.functional.log_softmax`."""
    if not _takes("log_softmax", x, dim, dtype):
        return torch.log_softmax(x, dim, dtype)
    return softmax_op(x, dim % x.dim(), dtype or x.dtype, True)


def _takes(op: str, x: torch.Tensor, dim: int, dtype: torch.dtype | None) -> bool:
    if dtype not in (None, *DTYPES) or not usable(op, x):
        return False
    return -x.dim() <= dim < x.dim()


# --- samples


def calls(shape: Shape, dtype: torch.dtype, device: torch.device) -> Iterator[Call]:
    """shape: rows, columns."""
    m, n = shape
    yield Call("rows", softmax, (randn(shape, dtype, device),))
    yield Call("rows, log", log_softmax, (randn(shape, dtype, device),))
    yield Call("columns", softmax, (randn((m, n // 16, 16), dtype, device), 1))
