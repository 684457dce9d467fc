"""Rows of different length, empty ones among them: what is computed of each row is what torch says of that row."""

import pytest
import torch

import helion
import helion.language as hl

LENGTHS = (5, 0, 19, 1, 0, 12, 20)
X = torch.randn(len(LENGTHS), 20, generator=torch.Generator().manual_seed(0))
N = torch.tensor(LENGTHS)


@helion.kernel(config=helion.Config(block_sizes=[4, 8]))
def each_row(x, lengths, combine, function, start):
    out = torch.empty(x.size(0), dtype=torch.float32)
    for tile in hl.tile(x.size(0)):
        total = hl.full([tile], start, dtype=torch.float32)
        for k in hl.jagged_tile(lengths[tile]):
            total = combine(total, function(x[tile, k]).to(torch.float32))
        out[tile] = total
    return out


FUNCTIONS = {
    "any": (torch.maximum, lambda v: (v > 0.5).any(-1), 0.0),
    "all": (torch.minimum, lambda v: (v > -1).all(-1), 1.0),
    "any of floats": (torch.maximum, lambda v: v.any(-1), 0.0),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_reductions(name):
    combine, function, start = FUNCTIONS[name]
    expected = torch.stack([function(row[:n]).float() for row, n in zip(X, LENGTHS, strict=True)])
    assert torch.equal(each_row(X, N, combine, function, start), expected)


def test_reductions_of_no_elements():
    @helion.kernel(use_default_config=True)
    def flags(x):
        out = torch.empty([2, x.size(0)], dtype=torch.bool)
        for tile in hl.tile(x.size(0)):
            out[0, tile] = x[tile, :].any(1)
            out[1, tile] = x[tile, :].all(1)
        return out

    assert flags(torch.empty(4, 0)).tolist() == [[False] * 4, [True] * 4]
