"""Tensors as matrices of rows, and sums over all rows, to which every program adds up a share of them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch

import helion.language as hl

from .kernel import kernel

INTERPRETER_UNITS = 3  # few, since programs run one after the other; odd, so that shares differ in size

LANES = 4096  # of a step of a program that goes through many rows: several short rows, or one
LANES_OF_A_WARP = 512  # 16 elements a thread: two sums and two operands of that many take 100 to 127 registers
WARPS_OF_A_UNIT = 16
LONGEST_ROW = 16384  # more would spill beyond what caches hold: such rows are read twice, and summed in parts
COLUMNS = 2048  # of a part
RESIDENT_ROW = 8192  # longer ones do not fit registers beside their sums: they are read again after their means
AHEAD = 64 << 10  # bytes on their way to a multiprocessor


def as_rows(x: torch.Tensor, n: int) -> torch.Tensor:
    """`x` [..., n] as [rows, n]; a view where the strides allow one."""
    return x if x.dim() == 2 and x.size(1) == n else x.reshape(-1, n)  # a view costs the host as much as half a launch


def as_row(parameter: torch.Tensor | None, n: int) -> torch.Tensor | None:
    return None if parameter is None else shaped(parameter, (n,))


def shaped(x: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """`x` with other dimensions; a view where the strides allow one."""
    return x if x.size() == size else x.reshape(size)


def row_length(normalized_shape: Sequence[int]) -> int:
    length = 1
    for size in normalized_shape:
        length *= size
    return length


def units(rows: int, device: torch.device) -> int:
    """The multiprocessors of `device` that have work where one row is the least."""
    return min(rows, _units(device.index) if device.type == "cuda" else INTERPRETER_UNITS)


def shares_of_parts(rows: int, n: int, device: torch.device) -> int:
    """How many shares of the rows there are where programs take a part of the columns each."""
    programs = WARPS_OF_A_UNIT * LANES_OF_A_WARP // COLUMNS * units(rows, device)
    return min(rows, -(-programs // -(-n // COLUMNS)))


def part_loop(*_: Any) -> dict[str, Any]:
    """The config of programs that each go through a share of the rows, and a part of the columns."""
    return {"block_sizes": [COLUMNS, 1], "num_warps": COLUMNS // LANES_OF_A_WARP, "range_num_stages": [3]}


def begin_of(share: Any, rows: Any, shares: Any) -> Any:
    """The first row of a share, of which no two differ by more than a row; no product here exceeds `rows`."""
    return share * (rows // shares) + min(share, rows % shares)


def row_loop(x: torch.Tensor) -> dict[str, Any]:
    """The config of programs that each go through a share of the rows of `x` and of another matrix and add up columns.

    There are as many programs as a GPU runs at once, so that their sums stay few, and loads run two or three steps
    ahead of the reductions of a row (`range_num_stages`; a single step is slower than none): they do not wait for each
    other, even where a program has a multiprocessor for itself. Rows that are read again leave the memory to the cache.
    """
    row = 1 << (x.size(1) - 1).bit_length()
    tile = max(1, LANES // row)
    warps = min(WARPS_OF_A_UNIT, tile * row // LANES_OF_A_WARP)
    programs = WARPS_OF_A_UNIT // warps
    ahead = AHEAD // (programs * 2 * tile * x.size(1) * x.element_size())
    stages = 1 + min(max(ahead, 2), 3) if row <= RESIDENT_ROW else 0
    return {
        "block_sizes": [tile], "num_warps": warps, "range_num_stages": [stages], "programs_per_unit": programs,
    }  # fmt: skip


def _share_tiles(shares: torch.Tensor, *_: Any) -> dict[str, Any]:
    """Columns so few that every multiprocessor has some, but whole sectors of memory; then as many shares as fit."""
    programs, n = shares.size(1), shares.size(2)
    columns = max(8, min(32, 1 << (n // 128).bit_length() - 1)) if n >= 128 else 8
    return {"block_sizes": [columns, min(1 << (programs - 1).bit_length(), LANES // columns)]}


def sum_of_shares(op: str) -> Callable[..., tuple[torch.Tensor, torch.Tensor | None]]:
    """A kernel of operation `op` that adds up the sums of all programs, in order: [1 or 2, programs, n] to one or two
    tensors [n] of the dtypes given.
    """

    @kernel(op, prefer=_share_tiles, static_shapes=False)
    def summed_shares(
        shares: torch.Tensor, dtype: torch.dtype, other_dtype: torch.dtype | None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        programs, n = shares.size(1), hl.specialize(shares.size(2))
        out = torch.empty([n], dtype=dtype, device=shares.device)
        other = None if other_dtype is None else torch.empty([n], dtype=other_dtype, device=shares.device)
        for tile_n in hl.tile(n):
            total = hl.zeros([tile_n], dtype=torch.float32)
            other_total = hl.zeros([tile_n], dtype=torch.float32)
            for tile in hl.tile(programs):
                total += shares[0, tile, tile_n].sum(0)
                if other is not None:
                    other_total += shares[1, tile, tile_n].sum(0)
            out[tile_n] = total
            if other is not None:
                other[tile_n] = other_total
        return out, other

    return summed_shares


@functools.cache
def _units(index: int) -> int:
    return torch.cuda.get_device_properties(index).multi_processor_count


def normalizes(x: torch.Tensor, normalized_shape: Sequence[int], *parameters: torch.Tensor | None) -> bool:
    """Whether `normalized_shape` is the end of the shape of `x`, and that of all `parameters`."""
    shape = tuple(normalized_shape)
    if not shape or tuple(x.shape[-len(shape) :]) != shape:
        return False
    return all(p is None or tuple(p.shape) == shape for p in parameters)
