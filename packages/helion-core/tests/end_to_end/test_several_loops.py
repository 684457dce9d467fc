"""Several top-level loops over one tensor, and what a loop leaves behind for the code after it."""

import pytest
import torch

import helion
import helion.language as hl


@helion.kernel(use_default_config=True)
def two_writers(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    out = torch.empty([x.size(0) + y.size(0)], dtype=x.dtype, device=x.device)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile]
    for tile in hl.tile(y.size(0)):
        out[tile + x.size(0)] = y[tile]
    return out


def test_two_loops_may_write_one_tensor():
    x, y = torch.randn(37), torch.randn(50)
    assert torch.equal(two_writers(x, y), torch.cat([x, y]))


@helion.kernel(use_default_config=True)
def last_of_each_tile(x: torch.Tensor) -> torch.Tensor:
    out = torch.empty([(x.size(0) + 15) // 16, x.size(1)], dtype=x.dtype, device=x.device)
    for tile_n in hl.tile(x.size(1)):
        for tile_m in hl.tile(x.size(0), block_size=16):
            out[tile_m.id, tile_n] = x[tile_m.end - 1, tile_n]
    return out


def test_a_scalar_index_that_is_a_sum_is_multiplied_as_a_whole():
    x = torch.randn(40, 5)
    assert torch.equal(last_of_each_tile(x), x[[15, 31, 39]])


@helion.kernel(config={"block_sizes": [32, 64]})
def largest_lanes(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A value as wide as the loop's tiles: carried through the loop, reduced behind it."""
    m, n = x.size()
    high, low, total = (torch.empty([m], device=x.device) for _ in range(3))
    block_n = hl.register_block_size(n)
    for tile_m in hl.tile(m):
        top = hl.full([tile_m, block_n], float("-inf"), dtype=torch.float32)
        bottom = hl.full([tile_m, block_n], float("inf"), dtype=torch.float32)
        exps = hl.zeros([tile_m, block_n], dtype=torch.float32)
        for tile_n in hl.tile(n, block_size=block_n):
            top = torch.maximum(top, x[tile_m, tile_n])
            bottom = torch.minimum(bottom, x[tile_m, tile_n])
            exps = exps + torch.exp(x[tile_m, tile_n])
        high[tile_m], low[tile_m], total[tile_m] = top.amax(-1), bottom.amin(-1), exps.sum(-1)
    return high, low, total


@pytest.mark.parametrize("n", [50, 64, 150])
@pytest.mark.parametrize("sign", [-1, 1])
def test_a_partial_tile_leaves_the_other_lanes_of_an_accumulator(n, sign):
    x = sign * (torch.rand(40, n) + 1)  # the zeros of masked loads would be the largest or the smallest
    high, low, total = largest_lanes(x)
    assert torch.equal(high, x.amax(1)) and torch.equal(low, x.amin(1))
    torch.testing.assert_close(total, x.exp().sum(1))


@pytest.mark.parametrize("static_shapes", [True, False])
@pytest.mark.parametrize("interpret", [True, False])
def test_names_may_be_used_anew_between_loops(static_shapes, interpret):
    @helion.kernel(use_default_config=True, static_shapes=static_shapes, interpret=interpret)
    def twice(x: torch.Tensor, n: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        out, parts = torch.empty_like(x), [torch.empty_like(x)]
        for tile in hl.tile(x.size(0)):
            out[tile] = x[tile] * n
            parts[0][tile] = x[tile] + 1
        first, kept = out, parts[0]
        out, x, n, parts[0] = torch.empty_like(x), x * 3, n + 1, torch.ones_like(x)
        for tile in hl.tile(x.size(0)):
            out[tile] = x[tile] * n
        return first, kept, out

    for size in (37, 50):
        x = torch.randn(size)
        first, kept, out = twice(x, 2)
        torch.testing.assert_close((first, kept, out), (x * 2, x + 1, x * 3 * 3))


def test_loops_may_use_different_parts_of_one_tensor():
    @helion.kernel(use_default_config=True)
    def halves(x: torch.Tensor) -> torch.Tensor:
        n = x.size(1) // 2
        left, right = x[:, :n], x[:, n:]
        sums = x.new_empty([x.size(0)])
        for tile in hl.tile(left.size()):
            left[tile] = left[tile] * 2
        for tile in hl.tile(x.size(0)):
            sums[tile] = right[tile, :].sum(1)
        return sums

    x = torch.randn(20, 30)
    expected = x[:, 15:].sum(1)
    torch.testing.assert_close(halves(x), expected)


@pytest.mark.parametrize("interpret", [True, False])
def test_what_masks_leave_out_may_lie_anywhere(interpret):
    @helion.kernel(use_default_config=True, interpret=interpret)
    def previous(x: torch.Tensor) -> torch.Tensor:
        out = torch.empty_like(x)
        for tile in hl.tile(x.size(0)):
            at = tile.index - 5
            out[tile] = hl.load(x, [at], extra_mask=at >= 0) + x[tile + 3]
        return out

    x = torch.randn(37)
    expected = torch.cat([torch.zeros(5), x[:-5]]) + torch.cat([x[3:], torch.zeros(3)])
    torch.testing.assert_close(previous(x), expected)
