"""Tensors as matrices of rows, and sums over all rows, to which every program adds up a share of them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch

import helion.language as hl

from .kernel import kernel

INTERPRETER_UNITS = 3  # few, since programs run one after the other; odd, so that shares differ in size

LANES = 4096  # of a step of a program that adds up shares
LEAST_STEP = 1024  # lanes of a step of a program that goes through rows: several short rows, or one
BYTES_OF_A_WARP = 1024  # of a row; of two bytes: 16 elements a thread, with sums and operands 100 to 128 registers
WARPS_OF_A_UNIT = 16
LONGEST_ROW = 16384  # more would spill beyond what caches hold: such rows are read twice, and summed in parts
COLUMNS = 2048  # of a part
LANES_OF_A_WARP = 512  # of a part
LONG_ROW = 8192  # longer ones leave neither registers nor caches for a second row
LONGEST_IN_TURN = 12288  # of shares that are interleaved
REGISTERS = 176 << 10  # bytes of a multiprocessor for rows and sums; temporaries take the rest of 256 KiB
MOST_ROWS = 1 << 30  # rows are counted in 32 bits, and programs look beyond the last
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


def share_of_rows(at: Any, m: Any, n: int, programs: Any) -> tuple[Any, Any, Any]:
    """The first row of the share of program `at`, what is between two of its rows, and the end of them.

    Shares are interleaved: what all programs read at a time lies together in memory, which gained 2 to 5 %. Of rows of
    16384 they are in order, which gained as much.
    """
    return (at, programs, m) if n <= LONGEST_IN_TURN else (begin_of(at, m, programs), 1, begin_of(at + 1, m, programs))


def loads_ahead(x: torch.Tensor, held: int) -> bool:
    """Whether programs that go through the rows of `x` load the next rows before they use these, into registers.

    `held`: bytes a column of what they keep there anyway. Nothing waits then for what passes through shared memory;
    8192 columns took 144 instead of 155 us. Where a quarter of the lanes is beyond the row, what is loaded ahead is
    too little for the registers that it takes (5120 columns: 102 instead of 92 us).
    """
    n = x.size(1)
    ahead = held + 2 * x.element_size()
    return 4 * n >= 3 * _lanes(n) and _lanes(n) * ahead <= REGISTERS


def reads_again(x: torch.Tensor, held: int) -> bool:
    """Whether the rows of `x` are too long to stay in registers until their means are known. `held`: as above."""
    return _lanes(x.size(1)) * held > REGISTERS


def _lanes(n: int) -> int:
    return 1 << (n - 1).bit_length()


def weight_row(weight: Any, policy: str | None = None) -> Any:
    """In a kernel: the weight of a norm, None where there is none. `policy`: see `hl.load`."""
    return None if weight is None else hl.load(weight, [slice(None)], eviction_policy=policy).to(torch.float32)


def row_loop(x: torch.Tensor, held: int) -> dict[str, Any]:
    """The config of programs that each go through a share of the rows of `x` and of another matrix and add up columns.

    There are about as many programs as a GPU runs at once, so that their sums stay few. Rows that are not loaded ahead
    into registers are two or three steps ahead in shared memory (`range_num_stages`; a single step is slower than
    none), if they are not so long that the cache has to hold them. `held`: as above.
    """
    n, size = x.size(1), x.element_size()
    tile = max(1, LEAST_STEP // _lanes(n))
    warps = min(WARPS_OF_A_UNIT, tile * _lanes(n) * max(size, 2) // BYTES_OF_A_WARP)
    programs = WARPS_OF_A_UNIT // warps
    stages = 0
    if n <= LONG_ROW and not loads_ahead(x, held):
        stages = 4 if programs == 1 and 3 * 2 * n * size <= AHEAD else 3
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
        for kind, tile_n in hl.tile([1 if other is None else 2, n], block_size=[1, None]):
            total = hl.zeros([tile_n], dtype=torch.float32)
            for tile in hl.tile(programs):
                total += shares[kind.begin, tile, tile_n].sum(0)
            if other is None or kind.begin == 0:
                out[tile_n] = total
            else:
                other[tile_n] = total
        return out, other

    return summed_shares


@functools.cache
def _units(index: int) -> int:
    return torch.cuda.get_device_properties(index).multi_processor_count


def normalizes(x: torch.Tensor, normalized_shape: Sequence[int], *parameters: torch.Tensor | None) -> bool:
    """Whether `normalized_shape` is the end of the shape of `x`, which has no more than `MOST_ROWS` before it, and the
    shape of all `parameters`.
    """
    shape = tuple(normalized_shape)
    if not shape or tuple(x.shape[-len(shape) :]) != shape:
        return False
    if x.numel() > MOST_ROWS and x.numel() > MOST_ROWS * row_length(shape):  # the first says no of nearly all
        return False
    return all(p is None or tuple(p.shape) == shape for p in parameters)
