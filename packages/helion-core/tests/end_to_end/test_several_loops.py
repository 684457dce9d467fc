"""Several top-level loops over one tensor, and what a loop leaves behind for the code after it."""

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
