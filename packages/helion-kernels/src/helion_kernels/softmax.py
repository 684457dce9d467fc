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

SMALL: Shape = (5, 48)
SHAPES: tuple[Shape, ...] = ((8192, 1024), (8192, 4096), (8192, 8192), (4096, 32768), (4096, 65536), (2048, 131072))

RESIDENT = 32768  # longest row of which a program holds two tensors in registers
STEP = 16384


def _normalised(x: torch.Tensor, log: bool) -> torch.Tensor:
    """A tile of float32 values, along its second dimension."""
    high = torch.amax(x, dim=1, keepdim=True)
    exp = torch.exp(x - high)
    total = torch.sum(exp, dim=1, keepdim=True)
    return x - high - torch.log(total) if log else exp / total


def _gradient(g: torch.Tensor, y: torch.Tensor, log: bool) -> torch.Tensor:
    if log:
        return g - torch.exp(y) * torch.sum(g, dim=1, keepdim=True)
    return y * (g - torch.sum(g * y, dim=1, keepdim=True))


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


def _part(x: torch.Tensor, row: Any, part: Any, policy: str) -> Any:
    return hl.load(x, [row, part], eviction_policy=policy).to(torch.float32)


def _one_program(*_: Any) -> dict[str, Any]:
    """Programs so large that a multiprocessor has one: what they read again stays in the cache."""
    return {"block_sizes": [STEP], "num_warps": 32}


@kernel("softmax", prefer=_one_program, static_shapes=False)
def softmax_long_rows_backward(grad: torch.Tensor, out: torch.Tensor, dtype: torch.dtype, log: bool) -> torch.Tensor:
    """As `softmax_rows_backward`, for rows that registers cannot hold: they are read once more."""
    m, n = out.size(0), hl.specialize(out.size(1))
    dx = torch.empty([m, n], dtype=dtype, device=out.device)
    block = hl.register_block_size(64, STEP)
    for row in hl.grid(m):
        sums = hl.zeros([block], dtype=torch.float32)
        for part in hl.tile(n, block_size=block):
            g = _part(grad, row, part, "evict_last")
            sums += g if log else g * _part(out, row, part, "evict_last")
        total = sums.sum()
        for part in hl.tile(n, block_size=block):
            g, y = _part(grad, row, part, "evict_first"), _part(out, row, part, "evict_first")
            dx[row, part] = g - torch.exp(y) * total if log else y * (g - total)
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
        return shaped(softmax_rows(as_rows(x, x.size(-1)), dtype, log), x.size())
    return shaped(softmax_columns(_three(x, dim), dtype, log), x.size())


def _fake(x: torch.Tensor, dim: int, dtype: torch.dtype, log: bool) -> torch.Tensor:
    return torch.empty(x.size(), dtype=dtype, device=x.device)


def _backward(grad: torch.Tensor, out: torch.Tensor, dim: int, dtype: torch.dtype, log: bool) -> torch.Tensor:
    if out.numel() == 0:
        return _fake(out, dim, dtype, log)
    if dim == out.dim() - 1:
        n = out.size(-1)
        backward = softmax_rows_backward if n <= RESIDENT else softmax_long_rows_backward
        return shaped(backward(as_rows(grad, n), as_rows(out, n), dtype, log), out.size())
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
