"""Products of groups of rows, columns or inner elements, as `torch._grouped_mm`: mixtures of experts.

Groups lie side by side; `offs` says where each ends, on the device only. As many programs are launched as any offsets
need; each finds its group from the running sum of tiles. Sums are in float32 and in a fixed order, so every run gives
the same bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

import helion.language as hl

from .frame import Call, operator, usable
from .frame.products import product_kernel
from .frame.samples import Shape, randn
from .frame.support import decline
from .matmul import product

SMALL: Shape = (3, 40, 24, 32)
SHAPES: tuple[Shape, ...] = (
    (8, 16384, 14336, 4096),
    (8, 16384, 4096, 14336),
    (64, 32768, 2048, 7168),
    (128, 8192, 1536, 4096),
    (8, 64, 14336, 4096),
)
MOST_ROWS = 128  # of a tile
LONGEST_RUN = 16  # tiles of rows: with 132 programs at a time, the fewest bytes for tiles of 128 x 256


# --- kernels


def _side_by_side(x: torch.Tensor, y: torch.Tensor, ends: torch.Tensor) -> dict[str, Any]:
    """Programs of one tile each, four stages deep, in runs of as many tiles of rows as a group has.

    A run reads columns of a matrix once. A longer one goes on to the next matrix: more rows at a time, and nothing is
    read less often.
    """
    tiles = -(-x.size(0) // (y.size(0) * MOST_ROWS)) + 1  # groups end with a tile that is not full
    return {"pid_type": "flat", "num_stages": 4, "l2_groupings": min(LONGEST_RUN, 1 << (tiles - 1).bit_length())}


@product_kernel("grouped_mm", prefer=_side_by_side)
def grouped_rows(x: torch.Tensor, y: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
    """out[i] = x[i] @ y[g] for the group g of row i: x [rows, k], y [g, k, n]. Rows of no group give 0."""
    rows, k, groups, n = x.size(0), x.size(1), hl.specialize(y.size(0)), y.size(2)
    out = torch.empty([rows, n], dtype=x.dtype, device=x.device)
    block = hl.register_block_size(16, MOST_ROWS)
    most = rows + (groups + 1) * MOST_ROWS  # every group, and the rows of none, may end with a tile that is not full
    for slot, tile_n in hl.tile([most, n], block_size=[block, None]):
        index = hl.arange(groups)
        group_ends = hl.load(ends, [index])  # few elements: a descriptor of their own would cost each tile a round trip
        begins = hl.load(ends, [index - 1], extra_mask=index > 0)
        longest = group_ends - begins + block - 1
        padded = longest - longest % block  # rows of whole tiles
        passed = torch.cumsum(padded, 0, dtype=torch.int32) <= slot.begin
        number = passed.sum(dtype=torch.int32)
        start = torch.where(passed, group_ends, 0).amax()
        end = torch.where(passed, rows, group_ends).amin()
        row = start + slot.begin - torch.where(passed, padded, 0).sum(dtype=torch.int32)
        group = torch.clamp(number, max=groups - 1)
        for g in hl.grid(group, group + 1):  # once: the index of a loop is one that descriptors take
            for tile_m in hl.tile(row, torch.minimum(row + block, end), block_size=block):
                acc = hl.zeros([tile_m, tile_n], dtype=torch.float32)
                for tile_k in hl.tile(k):
                    acc = torch.addmm(acc, x[tile_m, tile_k], y[g, tile_k, tile_n])
                out[tile_m, tile_n] = torch.where(number < groups, acc, 0.0).to(x.dtype)
    return out


def _by_pointers(*_: Any) -> dict[str, Any]:
    """Columns of a group begin anywhere, where no descriptor can; with one operand by each, it takes twice as long."""
    return {"indexing": "pointer"}


@product_kernel("grouped_mm", prefer=_by_pointers)
def grouped_inner(x: torch.Tensor, y: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
    """out[g] = x[:, g] @ y[g]: x [m, inner], y [inner, n], groups along the inner dimension."""
    groups, m, n = ends.size(0), x.size(0), y.size(1)
    out = torch.empty([groups, m, n], dtype=x.dtype, device=x.device)
    for tile_g, tile_m, tile_n in hl.tile([groups, m, n], block_size=[1, None, None]):
        g = tile_g.begin
        begin = hl.load(ends, [g - 1], extra_mask=g > 0)
        acc = hl.zeros([tile_m, tile_n], dtype=torch.float32)
        for tile_k in hl.tile(begin, ends[g]):
            acc = torch.addmm(acc, x[tile_m, tile_k], y[tile_k, tile_n])
        out[g, tile_m, tile_n] = acc.to(x.dtype)
    return out


# --- operator


def _forward(x: torch.Tensor, y: torch.Tensor, offs: torch.Tensor) -> torch.Tensor:
    if x.dim() == 2 and y.dim() == 3:
        return grouped_rows(x, y, offs)
    if x.dim() == 2:
        return grouped_inner(x, y, offs)
    return grouped_rows(y.t(), x.transpose(1, 2), offs).t()


def _fake(x: torch.Tensor, y: torch.Tensor, offs: torch.Tensor) -> torch.Tensor:
    if x.dim() == 2:
        sizes = (x.size(0), y.size(-1)) if y.dim() == 3 else (offs.size(0), x.size(0), y.size(1))
        return x.new_empty(sizes)
    return x.new_empty(y.size(1), x.size(1)).t()


def _save(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _gradients(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    x, y, offs = ctx.saved_tensors
    dx = grouped_mm_op(grad, y.transpose(-1, -2), offs) if ctx.needs_input_grad[0] else None
    dy = grouped_mm_op(x.transpose(-1, -2), grad, offs) if ctx.needs_input_grad[1] else None
    return dx, dy, None


grouped_mm_op = operator("grouped_mm(Tensor x, Tensor y, Tensor offs) -> Tensor", _forward, _fake, _gradients, _save)


# --- function


def grouped_mm(
    x: torch.Tensor, y: torch.Tensor, *, offs: torch.Tensor | None = None, bias: torch.Tensor | None = None,
    out_dtype: torch.dtype | None = None,
) -> torch.Tensor:  # fmt: skip
    """As `torch._grouped_mm`, for bfloat16, float16 and float32; differentiable, second derivatives too.

    offs [groups], int32: where each group ends; not decreasing. By the dims of x and y:
    2 and 3: rows of x [rows, k] times their matrix of y [groups, k, n], giving [rows, n]; rows after the last group: 0;
    3 and 2: matrices of x [groups, m, k] times their columns of y [k, columns], giving [m, columns];
    2 and 2: parts of x [m, inner] times parts of y [inner, n], giving [groups, m, n];
    3 and 3: batches, without `offs`.
    """
    if not _takes(x, y, offs, bias, out_dtype):
        return _by_torch(x, y, offs, bias, out_dtype)
    return product(x, y) if offs is None else grouped_mm_op(x, y, offs)


def _takes(x: torch.Tensor, y: torch.Tensor, offs: Any, bias: Any, out_dtype: Any) -> bool:
    if not usable("grouped_mm", x, y) or x.dtype != y.dtype or out_dtype not in (None, x.dtype):
        return False
    if bias is not None:
        decline("grouped_mm", "a bias")
        return False
    if x.dim() not in (2, 3) or y.dim() not in (2, 3) or 0 in (*x.size(), *y.size()) or x.size(-1) != y.size(-2):
        return False
    if (offs is None) != (x.dim() == y.dim() == 3):
        return False
    if offs is None:
        return x.size(0) == y.size(0)
    groups = {t.size(0) for t in (x, y, offs) if t.dim() == 3} | {offs.numel()}
    return offs.dim() == 1 and offs.dtype is torch.int32 and offs.device == x.device and groups == {offs.numel()}


def _by_torch(x: torch.Tensor, y: torch.Tensor, offs: Any, bias: Any, out_dtype: Any) -> torch.Tensor:
    """torch's function where it takes the dtype, else one product for each group."""
    if x.dtype is not torch.float64 or bias is not None:
        return torch._grouped_mm(x, y, offs=offs, bias=bias, out_dtype=out_dtype)
    if offs is None:
        return torch.bmm(x, y)
    ends = offs.tolist()
    bounds = list(zip([0, *ends[:-1]], ends, strict=True))
    if x.dim() == y.dim() == 2:
        return torch.stack([x[:, a:b] @ y[a:b] for a, b in bounds])
    if x.dim() == 3:
        return torch.cat([x[g] @ y[:, a:b] for g, (a, b) in enumerate(bounds)], dim=1)
    rest = x[ends[-1] :] @ y[-1] * 0
    return torch.cat([*(x[a:b] @ y[g] for g, (a, b) in enumerate(bounds)), rest])


# --- samples


def calls(shape: Shape, dtype: torch.dtype, device: torch.device) -> Iterator[Call]:
    """shape: groups, rows of all, columns, inner dimension. The backward pass has groups along the inner dimension."""
    groups, rows, n, k = shape
    ends = torch.linspace(0, rows, groups + 1, device=device)[1:].to(torch.int32)
    yield Call(
        "rows", grouped_mm, (randn((rows, k), dtype, device), randn((groups, k, n), dtype, device)), {"offs": ends}
    )
