"""A loop over whole tiles and one over the rest: the first needs no masks, and either may be empty."""

import pytest
import torch

import helion
import helion.language as hl


@helion.kernel()
def running_sums(x: torch.Tensor) -> torch.Tensor:
    """out[i] is the sum of x[: i + 1]."""
    (n,) = x.size()
    out = torch.empty_like(x)
    block = hl.register_block_size(256)
    for tile_i in hl.tile(n):
        acc = hl.zeros([tile_i], dtype=torch.float32)
        whole = min(tile_i.begin + 1, n) // block * block
        for tile_j in hl.tile(0, whole, block_size=block):
            acc = acc + x[tile_j].sum()
        for tile_j in hl.tile(whole, min(tile_i.end, n), block_size=block):
            acc = acc + torch.where(tile_j.index[None, :] <= tile_i.index[:, None], x[tile_j][None, :], 0.0).sum(1)
        out[tile_i] = acc
    return out


@pytest.mark.parametrize("n", [1, 32, 64, 100])
@pytest.mark.parametrize("sizes", [[32, 16], [16, 32], [16, 16]])
def test_sums(n, sizes):
    x = torch.randn(n, dtype=torch.float64, generator=torch.Generator().manual_seed(n)).float()
    running_sums.reset()
    bound = running_sums.bind((x,))
    bound.set_config({"block_sizes": sizes})
    torch.testing.assert_close(bound(x).double(), x.double().cumsum(0), rtol=1e-5, atol=1e-5)


def test_whole_tiles_are_read_without_masks():
    code = running_sums.bind((torch.empty(100),)).to_triton_code({"block_sizes": [32, 16]})
    first, second = (line for line in code.splitlines() if "tl.load" in line)
    assert "mask" not in first and "mask" in second


@helion.kernel()
def sum_in_two_loops(x: torch.Tensor) -> torch.Tensor:
    m, n = x.size()
    out = x.new_empty(m)
    block = hl.register_block_size(256)
    for tile_m in hl.tile(m):
        acc = hl.zeros([tile_m], dtype=torch.float32)
        for tile_n in hl.tile(0, n // block * block, block_size=block):
            acc = acc + x[tile_m, tile_n].sum(1)
        for tile_n in hl.tile(n // block * block, n, block_size=block):
            acc = acc + x[tile_m, tile_n].sum(1)
        out[tile_m] = acc
    return out


@pytest.mark.parametrize(("n", "loops"), [(64, 1), (16, 1), (80, 2), (0, 0)])
def test_loops_without_tiles_are_left_out(n, loops):
    x = torch.randn(8, n)
    config = {"block_sizes": [32, 8]}
    sum_in_two_loops.reset()
    bound = sum_in_two_loops.bind((x,))
    assert bound.to_triton_code(config).count("tl.range") == loops
    bound.set_config(config)
    torch.testing.assert_close(bound(x), x.sum(1))


@helion.kernel()
def sums_of_lengths(x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    out = x.new_empty(x.size(0))
    block = hl.register_block_size(256)
    for i in hl.grid(x.size(0)):
        n = int(lengths[i])
        whole = n // block * block
        acc = hl.zeros([], dtype=torch.float32)
        for tile in hl.tile(0, whole, block_size=block):
            acc = acc + x[i, tile].sum()
        for tile in hl.tile(whole, n, block_size=block):
            acc = acc + x[i, tile].sum()
        out[i] = acc
    return out


def test_a_number_of_the_device_makes_whole_tiles_too():
    x, lengths = torch.randn(4, 50), torch.tensor([0, 16, 23, 50])
    bound = sums_of_lengths.bind((x, lengths))
    first, second = (line for line in bound.to_triton_code({"block_sizes": [16]}).splitlines() if "tl.load(x" in line)
    assert "mask_tile" not in first and "mask_tile" in second
    bound.set_config({"block_sizes": [16]})
    torch.testing.assert_close(bound(x, lengths), torch.stack([x[i, :n].sum() for i, n in enumerate(lengths)]))
