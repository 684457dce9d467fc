"""Large parts of index expressions: computed once, where the tiles that they depend on begin."""

from __future__ import annotations

import pytest
import torch

import helion
import helion.language as hl
from helion.runtime.targets import parse_target


def turned(at, tiles, turns):
    """A permutation of the numbers below a multiple of `turns`, as an order of programs."""
    number = (at - 3) * tiles + 3 * tiles - at // 2 * 2 + at // 2
    return (number % turns) * 5 + min(max(number - 7, 0), 1) * (at // turns)


@helion.kernel(autotune_effort="none")
def gathered(x: torch.Tensor) -> torch.Tensor:
    m, n = x.size()
    out = torch.zeros([m, n], dtype=x.dtype, device=x.device)
    for tile in hl.tile(m, block_size=1):
        row = turned(tile.begin, 1, 4) % m
        out[tile.begin, :] = x[row, :] + x[(row + 1) % m, :]
    return out


@helion.kernel(autotune_effort="none")
def gathered_in_loops(x: torch.Tensor) -> torch.Tensor:
    m, n = x.size()
    out = torch.zeros([m, n], dtype=x.dtype, device=x.device)
    for tile in hl.tile(m, block_size=1):
        if tile.begin > 2:
            for step in hl.grid(3):
                row = turned(tile.begin + step, 1, 4) % m
                for part in hl.tile(n):
                    out[tile.begin, part] = out[tile.begin, part] + x[row, part] * (turned(part.begin + row, 2, 3) % 7)
    return out


@helion.kernel(autotune_effort="none")
def gathered_by_loaded(x: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    m, n = x.size()
    out = torch.zeros([m, n], dtype=x.dtype, device=x.device)
    for tile in hl.tile(m, block_size=1):
        row = int(rows[tile.begin])
        out[tile.begin, :] = x[turned(row, 1, 4) % m, :] + x[(turned(row, 1, 4) + 1) % m, :]
    return out


@helion.kernel(autotune_effort="none")
def divided_by_tiles(x: torch.Tensor) -> torch.Tensor:
    out = torch.zeros_like(x)
    for tile in hl.tile(x.size(0), block_size=1):
        if tile.begin > 0:
            out[tile.begin, :] = x[tile.begin, :] + (turned(tile.begin, 2, 3) % tile.begin)
        else:
            out[tile.begin, :] = x[tile.begin, :] * 2
    return out


def test_nothing_is_divided_by_a_tile_before_the_branch_that_sees_that_it_may_be():
    """LLVM takes what divides for not 0: hoisted, it would make the other branch go."""
    x = torch.randn(5, 8)
    expected = torch.stack([x[k] + turned(k, 2, 3) % k if k else x[k] * 2 for k in range(5)])
    torch.testing.assert_close(divided_by_tiles(x), expected)
    bound = divided_by_tiles.bind((x,))
    before, _, _ = bound.to_triton_code().partition("    if ")
    assert "% offset_tile" not in before and "// offset_tile" not in before
    target = parse_target("sm_90")
    compiled = bound._compile(bound.generate(bound.default_config(target), target), target)
    assert compiled.asm["llir"].count("br i1") >= 1


def test_one_that_depends_on_tiles_is_written_once():
    x = torch.randn(13, 6)
    text = gathered.bind((x,)).to_triton_code()
    assert text.count("tl.maximum") == 1
    rows = [turned(at, 1, 4) % 13 for at in range(13)]
    torch.testing.assert_close(gathered(x), x[rows] + x[[(r + 1) % 13 for r in rows]])


@pytest.mark.parametrize("block", [2, 8])
def test_those_of_loops_are_computed_in_them(block):
    x = torch.randn(9, 6)
    expected = torch.zeros(9, 6)
    for at in range(3, 9):
        for step in range(3):
            row = turned(at + step, 1, 4) % 9
            for k in range(6):
                expected[at, k] += x[row, k] * (turned(k // block * block + row, 2, 3) % 7)
    bound = gathered_in_loops.bind((x,))
    config = bound.default_config().replace(block_sizes=[block])
    torch.testing.assert_close(bound.compile_config(config).run(x), expected)
    assert bound.compile_for(parse_target("sm_90"), config).registers


def test_those_of_loaded_numbers_stay_where_they_are():
    x, rows = torch.randn(11, 6), torch.randperm(11)
    expected = [turned(int(r), 1, 4) for r in rows]
    found = gathered_by_loaded(x, rows)
    torch.testing.assert_close(found, x[[r % 11 for r in expected]] + x[[(r + 1) % 11 for r in expected]])
