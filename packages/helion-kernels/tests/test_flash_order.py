"""In which order programs of causal attention do rows of heads, and which keys the loops of a program go over."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from helion_kernels.flash.band import LAST_ROWS, extent, longest_first, runs


@dataclass
class Tile:
    id: int
    block_size: int

    @property
    def begin(self) -> int:
        return self.id * self.block_size

    def __add__(self, distance: int) -> int:
        return self.begin + distance


def programs(heads, share, count, block):
    """(head, first row) of each program, in the order of the launch."""
    for head in range(heads):
        for k in range(extent(count, 0) // block):
            at, rows, first, last = longest_first(head, Tile(k, block), heads, count, 0, share)
            assert rows == first and last == min(first + block, count) - 1
            yield at, first


SIZES = [
    (8, 1, 4096, 64),
    (128, 1, 4096, 64),
    (32, 4, 16384, 64),
    (6, 3, 33, 16),
    (2, 1, 70000, 128),
    (12, 4, 9000, 64),
]


@pytest.mark.parametrize(("heads", "share", "count", "block"), SIZES)
def test_every_tile_of_rows_is_done_once(heads, share, count, block):
    done = list(programs(heads, share, count, block))
    assert sorted(done) == [(h, r) for h in range(heads) for r in range(0, extent(count, 0), block)]


@pytest.mark.parametrize(("heads", "share", "count", "block"), SIZES)
def test_the_last_heads_end_together_and_heads_with_the_same_keys_take_turns(heads, share, count, block):
    done = list(programs(heads, share, count, block))
    tiles = extent(count, 0) // block
    late = min(heads, -(-LAST_ROWS // extent(count * share, 0)) * share)
    for start, size in [*((h, share) for h in range(0, heads - late, share)), (heads - late, late)]:
        group = done[start * tiles : (start + size) * tiles]
        assert {head for head, _ in group} == set(range(start, start + size))
        assert [first for _, first in group] == sorted((first for _, first in group), reverse=True)


def test_the_last_512_programs_of_an_hundred_heads_get_shorter_throughout():
    firsts = [first for _, first in programs(128, 1, 4096, 64)]
    assert firsts[-512:] == sorted(firsts[-512:], reverse=True)
    assert firsts[-576:] != sorted(firsts[-576:], reverse=True)


def test_columns_begin_with_the_first_which_most_rows_go_over():
    tiles = 4096 // 64
    order = [longest_first(h, Tile(k, 64), 128, 4096, 0, columns=True) for h in range(128) for k in range(tiles)]
    assert sorted((head, first) for head, _, first, _ in order) == [
        (h, r) for h in range(128) for r in range(0, 4096, 64)
    ]
    assert [first for _, _, first, _ in order[:tiles]] == list(range(0, 4096, 64))
    late = [first for _, _, first, _ in order[-512:]]
    assert late == sorted(late)


@pytest.mark.parametrize(("left", "right"), [(-1, -1), (-1, 0), (7, 0), (0, -1)])
def test_the_loop_that_does_not_compare_comes_first(left, right):
    """Else sums begin in a loop that is known to take one step, and Triton 3.6's ptxas waits after every product."""
    assert [cut for _, _, cut in runs(64, 127, left, right, 200, 32)][:2] == [False, True]


@pytest.mark.parametrize(("left", "right"), [(-1, -1), (-1, 0), (-1, 5), (7, 0), (40, 9), (0, -1), (100, 100)])
@pytest.mark.parametrize("count", [1, 31, 64, 100])
def test_loops_go_over_all_keys_that_are_seen_and_compare_where_some_are_not(left, right, count):
    block, edge, rows = 32, 16, 16
    for first in range(0, 96, rows):
        last = first + rows - 1
        compared = {}
        for begin, end, cut in runs(first, last, left, right, count, block, edge):
            step = edge if cut else block
            assert cut or (begin % block == 0 and (end - begin) % block == 0) or begin >= end
            for key in range(begin, begin + -(-max(end - begin, 0) // step) * step):
                assert key not in compared
                compared[key] = cut
        for key in range(count):
            seen = [(left < 0 or i - left <= key) and (right < 0 or key <= i + right) for i in range(first, last + 1)]
            assert key in compared if any(seen) else compared.get(key, True)
            assert compared.get(key) is not False or all(seen)
        assert all(compared[key] for key in compared if key >= count)
