"""Every record of the operator table through Triton's interpreter: a kernel over rows, and over tiles where it is
elementwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

import helion
import helion.language as hl

from .table import TABLE, Record, f32

ROWS = 21  # a partial tile of 5 behind one of 16
TOLERANCES = {torch.float32: 2e-6, torch.float16: 2e-3, torch.bfloat16: 1.6e-2, torch.float64: 1e-12}


@helion.kernel(config=helion.Config(block_sizes=[16]))
def over_rows(inputs, outs, function):
    for tile in hl.tile(inputs[0].size(0)):
        values = function(*[x[tile, ...] for x in inputs])
        for out, value in zip(outs, values, strict=True):
            out[tile, ...] = value


@helion.kernel(config=helion.Config(block_sizes=[16, 16]))
def over_tiles(inputs, outs, function):
    m, n = inputs[0].shape
    for tile_m, tile_n in hl.tile([m, n]):
        values = function(*[x[tile_m, tile_n] for x in inputs])
        for out, value in zip(outs, values, strict=True):
            out[tile_m, tile_n] = value


def as_tuple(values: Any) -> tuple[torch.Tensor, ...]:
    return (values,) if isinstance(values, torch.Tensor) else tuple(values)


def widened(inputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    return [x.double() if x.is_floating_point() else x for x in inputs]


def check(kernel: Any, record: Record, dtype: torch.dtype, shape: tuple[int, int]) -> None:
    torch.manual_seed(sum(map(ord, record.name)))
    inputs = [maker(shape, dtype) for maker in record.inputs]
    eager = as_tuple(record.function(*inputs))
    exact = as_tuple(record.function(*widened(inputs))) if dtype.is_floating_point else eager
    outs = [torch.full_like(e, 77, memory_format=torch.contiguous_format) for e in eager]
    function: Callable[..., tuple[torch.Tensor, ...]] = lambda *args: as_tuple(record.function(*args))  # noqa: E731
    kernel.reset()
    kernel(inputs, outs, function)
    for out, near, reference in zip(outs, eager, exact, strict=True):
        compare(out, near, reference, record, dtype)


def compare(out: torch.Tensor, eager: torch.Tensor, exact: torch.Tensor, record: Record, dtype: torch.dtype) -> None:
    if not eager.is_floating_point():
        assert torch.equal(out, eager)
        return
    coarser = (
        max(TOLERANCES[dtype], TOLERANCES.get(eager.dtype, 0)) if dtype.is_floating_point else TOLERANCES[eager.dtype]
    )
    tolerance = coarser * record.scale
    torch.testing.assert_close(out.double(), exact.double(), rtol=tolerance, atol=tolerance, equal_nan=True)


def cases() -> list[Any]:
    return [
        pytest.param(r, d, id=f"{r.name}-{str(d).removeprefix('torch.')}".replace(" ", "_"))
        for r in TABLE
        for d in r.dtypes
    ]


@pytest.mark.parametrize(("record", "dtype"), cases())
def test_rows(record: Record, dtype: torch.dtype) -> None:
    check(over_rows, record, dtype, (ROWS, record.columns))


@pytest.mark.parametrize("record", [r for r in TABLE if r.elementwise], ids=lambda r: r.name.replace(" ", "_"))
def test_tiles(record: Record) -> None:
    check(over_tiles, record, f32 if f32 in record.dtypes else record.dtypes[0], (ROWS, 19))


_QUICK = ("sqrt", "clamp min", "clamp max", "hardtanh", "exp", "div")
DOUBLES = [
    pytest.param(r, id=r.name.replace(" ", "_"), marks=() if r.name in _QUICK else pytest.mark.slow)
    for r in TABLE
    if r.elementwise and f32 in r.dtypes
]


@pytest.mark.parametrize("record", DOUBLES)
def test_float64(record: Record) -> None:
    check(over_rows, record, torch.float64, (5, record.columns))


over_rows_of_all_sizes = helion.kernel(over_rows.fn, config=helion.Config(block_sizes=[16]), static_shapes=False)
EVERY = 12  # without --slow


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(r, id=r.name.replace(" ", "_"), marks=[] if k % EVERY == 0 else pytest.mark.slow)
        for k, r in enumerate(TABLE)
    ],
)
def test_rows_of_any_size(record: Record) -> None:
    check(over_rows_of_all_sizes, record, record.dtypes[0], (ROWS, record.columns))


def test_size_of_table() -> None:
    names = [record.name for record in TABLE]
    assert len(names) == len(set(names))
    assert len(names) >= 150
