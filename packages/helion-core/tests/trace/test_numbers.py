"""Python numbers and device scalars together: indices, carried numbers, `and` and `or`, floats of 64 bits."""

import pytest
import torch

import helion
import helion.language as hl
from helion import exc

X = torch.arange(20.0).reshape(4, 5)
N = torch.arange(4)


def default(function):
    return helion.kernel(function, use_default_config=True)


def test_negative_indices_that_are_arguments():
    @default
    def column(x, k):
        out = torch.empty(x.size(0))
        for tile in hl.tile(x.size(0)):
            out[tile] = x[tile, k] + x[tile, k + 1] * 100 + x[k, 0] * 0
        return out

    for k in (-1, -3, 0, 2):
        assert torch.equal(column(X, k), X[:, k] + X[:, k + 1] * 100), k
    for k in (4, -6):
        with pytest.raises(exc.OutOfRangeIndex):
            column(X, k)


def test_floats_are_not_cut_to_integers():
    @default
    def half_in_a_branch(x, n):
        out = torch.empty(x.size(0))
        for i in hl.grid(x.size(0)):
            value = n[i]
            if value > 2:
                value = 0.5
            out[i] = value
        return out

    with pytest.raises(exc.ControlFlowTensorMismatch, match="value"):
        half_in_a_branch(X, N)

    @default
    def half_in_a_loop(x, n):
        out = torch.empty(x.size(0))
        for i in hl.grid(x.size(0)):
            value = n[i]
            for _ in range(n[i]):
                value = 2.5
            out[i] = value
        return out

    with pytest.raises(exc.ControlFlowTensorMismatch, match="value"):
        half_in_a_loop(X, N)


def test_carried_integers_of_more_than_32_bits():
    @default
    def count(x, n, start):
        out = torch.empty([2, x.size(0)], dtype=torch.int64)
        for i in hl.grid(x.size(0)):
            large, given = 2**40, start
            for _ in range(n[i]):
                large = large + 1
                given += 1
            out[0, i] = large
            out[1, i] = given
        return out

    expected = torch.stack([2**40 + N, 2**33 + N])
    assert torch.equal(count(X, N, 2**33), expected)


def test_ranges_that_begin_beyond_32_bits():
    @default
    def sums(begins):
        out = torch.empty_like(begins)
        for i in hl.grid(begins.size(0)):
            total = hl.zeros([], dtype=torch.int64)
            for k in range(begins[i], begins[i] + 3):
                total = total + k
            out[i] = total
        return out

    begins = torch.tensor([3_000_000_000, 5, -3_000_000_000])
    assert torch.equal(sums(begins), 3 * begins + 3)


def test_and_and_or_hand_back_an_operand():
    @default
    def choose(x, n, m):
        out = torch.empty([5, x.size(0)], dtype=torch.int64)
        for i in hl.grid(x.size(0)):
            a, b = n[i], m[i]
            out[0, i] = a or 5
            out[1, i] = a and 7
            out[2, i] = a or b
            out[3, i] = a and b and 9
            out[4, i] = 1 if a and (b > 2 or a > 2) else 0
        return out

    m = torch.tensor([3, 0, 3, 0])
    python = [
        [f(a, b) for a, b in zip(N.tolist(), m.tolist(), strict=True)]
        for f in (
            lambda a, b: a or 5, lambda a, b: a and 7, lambda a, b: a or b, lambda a, b: a and b and 9,
            lambda a, b: int(bool(a and (b > 2 or a > 2))),
        )
    ]  # fmt: skip
    assert choose(X, N, m).tolist() == python


def test_a_counter_of_a_while_loop_is_updated_in_place():
    @default
    def collatz(n):
        out = torch.empty_like(n)
        for i in hl.grid(n.size(0)):
            value, steps = n[i], 0
            while value != 1:
                value = value // 2 if value % 2 == 0 else 3 * value + 1
                steps += 1
            out[i] = steps
        return out

    assert collatz(torch.tensor([1, 2, 3, 7])).tolist() == [0, 1, 7, 16]


def test_updates_in_place_on_one_side_of_a_branch():
    @default
    def count(x, n):
        out, sums = torch.empty_like(n), torch.empty_like(x)
        for i in hl.grid(n.size(0)):
            counted, total = 0, x[i, :]
            for k in range(n[i] + 2):
                if k % 2 == 0:
                    counted += 1
                    total += k
                elif k > 2:
                    total *= 2
            if n[i] > 1:
                counted -= 10
            out[i] = counted
            sums[i, :] = total
        return out, sums

    def one(total, n):
        counted = 0
        for k in range(n + 2):
            if k % 2 == 0:
                counted, total = counted + 1, total + k
            elif k > 2:
                total = total * 2
        return counted - 10 * (n > 1), total

    counts, sums = zip(*map(one, X, N.tolist()), strict=True)
    found = count(X, N)
    assert found[0].tolist() == list(counts)
    torch.testing.assert_close(found[1], torch.stack(sums))


def test_floats_keep_64_bits_where_tensors_have_them():
    @default
    def scaled(x, factor):
        out = torch.empty_like(x)
        for tile in hl.tile(x.size(0)):
            out[tile] = x[tile] * factor + torch.full_like(x[tile], factor * 2)
        return out

    x = torch.ones(3, dtype=torch.float64)
    assert torch.equal(scaled(x, 0.1), x * 0.1 + 0.2)


def test_sums_updated_in_place_by_nested_loops():
    @default
    def total(x):
        out = torch.empty(x.size(0))
        for tile in hl.tile(x.size(0)):
            sums = hl.zeros([tile])
            for j in range(2):
                for k in hl.tile(x.size(1)):
                    sums += x[tile, k].sum(1) + j
            out[tile] = sums
        return out

    block = total.bind((X,)).default_config()["block_sizes"][-1]
    assert torch.equal(total(X), 2 * X.sum(1) + -(-X.size(1) // block))


def test_jagged_loops_in_one_another():
    @default
    def total(x, n, m):
        out = torch.empty(x.size(0))
        for tile in hl.tile(x.size(0)):
            sums = hl.zeros([tile])
            for k in hl.jagged_tile(n[tile]):
                for j in hl.jagged_tile(m[tile]):
                    sums += x[tile, k, j].exp().sum(2).sum(1)
            out[tile] = sums
        return out

    x = torch.randn(4, 5, 3)
    n, m = torch.tensor([5, 0, 2, 3]), torch.tensor([1, 3, 0, 2])
    expected = torch.stack([x[i, : n[i], : m[i]].exp().sum() for i in range(4)])
    torch.testing.assert_close(total(x, n, m), expected)


@pytest.mark.parametrize("interpret", [False, True])
def test_round_of_device_values_is_that_of_torch(interpret):
    @helion.kernel(use_default_config=True, interpret=interpret)
    def rounded(x, digits):
        out = torch.empty([3, x.size(0)])
        for i in hl.grid(x.size(0)):
            out[0, i] = round(x[i])
            out[1, i] = round(x[i], digits)
        for tile in hl.tile(x.size(0)):
            out[2, tile] = round(x[tile])
        return out

    x = torch.tensor([0.5, 1.5, -2.5, 3.14159, -271.828, float("inf")])
    for digits in (2, -1):
        expected = torch.stack([x.round(), x.round(decimals=digits), x.round()])
        torch.testing.assert_close(rounded(x, digits), expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("operator", [torch.addcmul, torch.addcdiv])
def test_factors_that_are_arguments(operator, dtype):
    @default
    def combined(x, y, z, factor):
        out = torch.empty_like(x)
        for tile in hl.tile(x.size(0)):
            out[tile] = operator(x[tile], y[tile], z[tile], value=factor)
        return out

    torch.manual_seed(0)
    x, y, z = (torch.randn(19).to(dtype) for _ in range(3))
    for factor in (0.3, -2.0, 1.0):
        torch.testing.assert_close(combined(x, y, z, factor), operator(x, y, z, value=factor))


# --- 64-bit scalars beside indices, which have 32: torch would take the scalar to the dtype of the tensor with dims


LONGS = torch.tensor([5, 5 + 2**32, 3, -(2**40)])


@pytest.mark.parametrize("interpret", [False, True])
def test_labels_are_compared_in_full(interpret):
    @helion.kernel(use_default_config=True, interpret=interpret)
    def found(labels, x):
        out = torch.empty([labels.size(0), 3], dtype=torch.int64)
        for i in hl.grid(labels.size(0)):
            label = labels[i]
            for tile in hl.tile(x.size(0)):
                out[i, 0] = (tile.index == label).sum()
                out[i, 1] = (label > (tile.index * 2 + 1)).sum()
                out[i, 2] = (x[tile] != label).sum()
        return out

    x = torch.arange(8, dtype=torch.int32)
    wide = x.long()
    expected = [[int((wide == n).sum()), int((n > wide * 2 + 1).sum()), int((wide != n).sum())] for n in LONGS]
    assert found(LONGS, x).tolist() == expected


def test_what_is_added_to_indices_is_not_cut():
    @default
    def places(starts, number):
        out = torch.empty([starts.size(0), 8], dtype=torch.int64)
        for i in hl.grid(starts.size(0)):
            start = starts[i]
            for tile in hl.tile(8):
                at = torch.where(tile.index > 2, tile.index, 0)[None, :] + start
                assert at.dtype is torch.int64
                assert (tile.index + int(start)).dtype is torch.int64
                assert (tile.index + number).dtype is torch.int32
                out[i, tile] = at[0, :]
        return out

    index = torch.arange(8)
    assert torch.equal(places(LONGS, 3), torch.where(index > 2, index, 0) + LONGS[:, None])


def test_indices_that_a_loop_carries_are_not_cut():
    @default
    def moved(steps):
        out = torch.empty(8, dtype=torch.int64)
        for tile in hl.tile(8):
            at = tile.index
            for i in hl.grid(steps.size(0)):
                at = at + steps[i]
            out[tile] = at
        return out

    assert torch.equal(moved(LONGS), torch.arange(8) + LONGS.sum())


@pytest.mark.parametrize("static_shapes", [True, False])
def test_bounds_that_are_arguments_are_compared_in_full(static_shapes):
    @helion.kernel(use_default_config=True, static_shapes=static_shapes)
    def below(x, n):
        out = torch.empty(x.size(0), dtype=torch.bool)
        for tile in hl.tile(x.size(0)):
            out[tile] = (
                (tile.index < n) & (tile.index < x.size(0) + 2 * n) & (tile.index - tile.begin >= tile.begin - n)
            )
        return out

    x = torch.zeros(9)
    index = torch.arange(9)
    for n in (5, 2**40, -1, 6, 2**31, 2**31 - 1, 2**30):
        assert torch.equal(below(x, n), (index < n) & (index < 9 + 2 * n) & (index >= -n)), n
    (bound,) = (bound for found in below._bound.values() for bound in found)  # whatever the number
    assert not bound.traced.guards or not static_shapes
    for target in ("sm_90", "gfx942"):
        assert bound.compile_for(target).code_size > 0
