"""Rows of different length, empty ones among them: what is computed of each row is what torch says of that row."""

import functools

import pytest
import torch

import helion
import helion.language as hl
from helion import exc
from helion.runtime.targets import parse_target

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


def in_tiles(function):
    """What `each_row` adds up of one row."""
    return lambda row: sum(torch.as_tensor(function(part[None])[0]).double() for part in row.split(8) if len(part))


FUNCTIONS = {
    "any": lambda v: (v > 0.5).any(-1),
    "any of floats": lambda v: v.any(-1),
    "mean": lambda v: v.mean(-1).nan_to_num(0.0),
    "var": lambda v: v.var(-1, unbiased=False).nan_to_num(0.0),
    "norm of the centred": lambda v: ((v - v.mean(-1, keepdim=True)) ** 2).sum(-1).nan_to_num(0.0),
    "greatest": lambda v: (v - 9).exp().amax(-1).clamp(min=0.0),
    "sort": lambda v: torch.where((v - 9).sort(-1).indices == 0, v - 9, torch.zeros_like(v)).sum(-1),
}


def rows(function):
    return torch.stack([torch.as_tensor(function(row[:n])).double() for row, n in zip(X, LENGTHS, strict=True)])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_reductions(name):
    function = FUNCTIONS[name]
    found = each_row(X, N, torch.add, function, 0.0)
    torch.testing.assert_close(found.double(), rows(in_tiles(function)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("function", [torch.maximum, lambda a, b: torch.where(a > b, a, b)], ids=["torch", "own"])
def test_own_reductions(function):
    expected = rows(lambda row: row.amax() - 9 if len(row) else float("-inf"))
    largest = functools.partial(_largest, function)
    found = each_row(X, N, torch.maximum, largest, float("-inf"))
    torch.testing.assert_close(found.double(), expected)


def _largest(function, values):
    return hl.reduce(function, values - 9, 1, other=float("-inf"))


@pytest.mark.parametrize("interpret", [False, True])
@pytest.mark.parametrize("left", [True, False])
def test_products(interpret, left):
    @helion.kernel(config=helion.Config(block_sizes=[16, 16]), interpret=interpret)
    def product(x, lengths, weight, left):
        out = torch.empty([x.size(0), weight.size(1)], dtype=torch.float32)
        for tile in hl.tile(x.size(0)):
            acc = hl.zeros([tile, weight.size(1)])
            for k in hl.jagged_tile(lengths[tile]):
                values = x[tile, k].exp()
                if left:
                    acc = acc + values @ weight[k, :]
                else:
                    acc = acc + (weight[k, :].T @ values.T).T
            out[tile, :] = acc
        return out

    weight = torch.randn(20, 16)
    expected = torch.stack([row[:n].double().exp() @ weight[:n].double() for row, n in zip(X, LENGTHS, strict=True)])
    torch.testing.assert_close(product(X, N, weight, left).double(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "function", [lambda v: v.flip(1), lambda v: v.sum(0, keepdim=True) + v.roll(1, 1)], ids=["flip", "roll"]
)
def test_what_moves_lanes_is_refused(function):
    with pytest.raises(exc.UnsupportedOperation, match="rows differ in length"):
        each_row(X, N, torch.add, lambda v: function(v).sum(1), 0.0)


def test_reductions_without_the_rows_are_refused():
    @helion.kernel(use_default_config=True)
    def column_sums(x, lengths, weight):
        out = torch.zeros(x.size(0))
        for tile in hl.tile(x.size(0)):
            for k in hl.jagged_tile(lengths[tile]):
                out[tile] = x[tile, k].sum(1) * weight[k].sum()
        return out

    with pytest.raises(exc.UnsupportedOperation, match="without a dimension for the rows"):
        column_sums(X, N, torch.ones(20))


def test_reductions_of_no_elements():
    @helion.kernel(use_default_config=True)
    def flags(x):
        out = torch.empty([2, x.size(0)], dtype=torch.bool)
        for tile in hl.tile(x.size(0)):
            out[0, tile] = x[tile, :].any(1)
            out[1, tile] = x[tile, :].all(1)
        return out

    assert flags(torch.empty(4, 0)).tolist() == [[False] * 4, [True] * 4]


@pytest.mark.parametrize("rows", [1, 4])
def test_indices_have_32_bits_where_lengths_have_64(rows):
    """The loop counts in 64 bits then, which Triton does not accept of a carried position of 32."""

    @helion.kernel(config=helion.Config(block_sizes=[rows, 16]))
    def last_positive(x, lengths):
        out = torch.empty(x.size(0), dtype=torch.int32)
        for tile in hl.tile(x.size(0)):
            last = hl.full([tile], -1, dtype=torch.int32)
            for k in hl.jagged_tile(lengths[tile]):
                found = torch.where(x[tile, k] > 0, k.index[None, :], -1).amax(1)
                last = torch.maximum(last, found)
            out[tile] = last
        return out

    expected = [max((k for k in range(n) if row[k] > 0), default=-1) for row, n in zip(X, LENGTHS, strict=True)]
    assert last_positive(X, N).tolist() == expected
    for target in ("sm_90", "gfx942"):
        assert last_positive.bind((X, N)).compile_for(parse_target(target)).code_size > 0
