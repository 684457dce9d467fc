"""Sizes under chosen block sizes."""

import pytest
import sympy
from torch.utils._sympy.functions import FloorDiv, Max, Min

from helion.ir import BlockSize, Program, Range
from helion.lower.layout import Layout, next_power_of_two

M = BlockSize(0, "BLOCK_M", sympy.Symbol("m", integer=True))
HOST = sympy.Symbol("s", integer=True)


def layout(size: int, **options) -> Layout:
    return Layout(Program("p", [], [], [], [M], {M.symbol: M}, **options), {M: size})


@pytest.mark.parametrize(("n", "power"), [(0, 1), (1, 1), (2, 2), (3, 4), (64, 64), (65, 128), (2**20 + 1, 2**21)])
def test_next_power_of_two(n, power):
    assert next_power_of_two(n) == power


def test_numbers_and_padded_sizes():
    found = layout(64)
    assert found.number(7) == 7 and found.number(M.symbol) == 64 and found.number(M.symbol * 3 + 1) == 193
    assert found.number(HOST) is None
    assert found.physical(48) == 64 and found.physical(M.symbol) == 64 and found.physical(M.symbol * 3) == 256


def test_a_fixed_dim_is_padded_to_what_a_product_needs():
    found = layout(64, min_lanes={3: 16})
    assert found.physical(3) == 16 and found.physical(5) == 8


def tile(begin, end, width=M.symbol, **options):
    return Range("tile", begin, end, width, sympy.Symbol("o"), **options)


@pytest.mark.parametrize(
    ("r", "needed"),
    [
        (tile(0, 128), False),
        (tile(0, 130), True),
        (tile(2, 130), False),  # what counts is the length
        (tile(0, HOST), True),
        (tile(HOST, HOST + 128), False),
        (tile(0, FloorDiv(HOST, M.symbol) * M.symbol), False),  # whole tiles, however many
        (tile(FloorDiv(HOST, M.symbol) * M.symbol, HOST), True),
        (tile(0, FloorDiv(HOST, 8) * sympy.Integer(8)), True),
        (tile(0, 48, 48), True),  # a width that is no power of two has padded lanes
        (tile(0, 128, 1, scalar=True), False),
        (Range("full", 0, 64, 64, 0, full=True), False),
        (Range("full", 0, 50, 50, 0, full=True), True),
    ],
)
def test_which_ranges_need_a_mask(r, needed):
    found = layout(64)
    assert found.needs_mask(r) is needed
    assert found.active(frozenset({r})) == (frozenset({r}) if needed else frozenset())


@pytest.mark.parametrize(
    ("size", "bound", "known"),
    [
        (60, 64, True),
        (65, 64, False),
        (HOST, HOST, True),
        (HOST, 64, False),
        (Min(HOST, 64), 64, True),
        (Max(Min(HOST, 64), 0), 64, True),
        (Max(HOST, 0), 64, False),
        (FloorDiv(Min(HOST, 100), M.symbol) * M.symbol, 100, True),
        (FloorDiv(Min(HOST, 100), M.symbol) * M.symbol + M.symbol, 100, False),
        (FloorDiv(Min(HOST, 100), 32) * M.symbol, 100, False),
    ],
)
def test_what_never_exceeds_a_size(size, bound, known):
    assert layout(64).at_most(size, bound) is known


def test_a_fixed_width_that_a_product_pads_needs_a_mask():
    found = layout(64, min_lanes={1: 16, 8: 16})
    assert found.needs_mask(tile(0, 64, 8)) and found.needs_mask(tile(0, 64, 1))
    assert not found.needs_mask(tile(0, 64, 16)) and not found.needs_mask(tile(0, 64, 1, scalar=True))


@pytest.mark.parametrize(
    ("begin", "offset", "below"),
    [
        (0, 0, False), (-4, 0, True), (8, -8, False), (8, -9, True), (HOST, 0, False), (HOST, -1, True), (-4, 4, False),
        (0, M.symbol, False), (64, -M.symbol, False), (63, -M.symbol, True),
    ],
)  # fmt: skip
def test_which_ranges_begin_below_0(begin, offset, below):
    assert layout(64).begins_below(tile(begin, 128), offset) is below
