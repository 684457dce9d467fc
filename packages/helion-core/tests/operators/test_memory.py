"""Explicit accesses, atomics, forms of subscripts, unusual tensors: through Triton's interpreter against eager
PyTorch.
"""

from __future__ import annotations

import pytest
import torch

import helion
import helion.language as hl
from helion import exc
from helion.runtime.targets import parse_target

ROWS = helion.Config(block_sizes=[16])


# --- hl.load and hl.store


@helion.kernel(config=ROWS)
def masked_copy(x, out):
    for tile in hl.tile(x.size(0)):
        even = (tile.index % 2 == 0)[:, None]
        loaded = hl.load(x, [tile, slice(None)], extra_mask=even, eviction_policy="evict_last")
        hl.store(out, [tile, slice(None)], loaded + 1, extra_mask=(tile.index < 7)[:, None])


def test_masked_lanes_load_zero_and_are_not_stored() -> None:
    x, out = torch.randn(21, 5), torch.full((21, 5), 9.0)
    masked_copy(x, out)
    even = (torch.arange(21) % 2 == 0)[:, None]
    expected = torch.where((torch.arange(21) < 7)[:, None], torch.where(even, x, 0) + 1, 9.0)
    torch.testing.assert_close(out, expected)
    code = masked_copy.bind((x, out)).to_triton_code()
    assert "eviction_policy='evict_last'" in code


@helion.kernel(config=helion.Config(block_sizes=[16, 16]))
def gather_scatter(x, rows, columns, out):
    for tile_m, tile_n in hl.tile([rows.size(0), columns.size(0)]):
        r, c = rows[tile_m], columns[tile_n]
        out[r, c] = x[r, c] * 2


def test_product_of_index_vectors() -> None:
    x = torch.randn(30, 40)
    rows, columns = torch.randperm(30)[:19], torch.randperm(40)[:23]
    out = torch.zeros(30, 40)
    gather_scatter(x, rows, columns, out)
    expected = torch.zeros(30, 40)
    expected[rows[:, None], columns] = x[rows[:, None], columns] * 2
    torch.testing.assert_close(out, expected)


@helion.kernel(config=ROWS)
def broadcast_indices(x, i, j, out):
    for tile in hl.tile(i.size(0)):
        out[tile, :] = x[i[tile][:, None], j[tile, :]]
        out[tile, 0] = x[i[tile], i[tile]]


def test_index_values_broadcast() -> None:
    x = torch.randn(30, 30)
    i, j = torch.randint(0, 30, (21,)), torch.randint(0, 30, (21, 6))
    out = torch.zeros(21, 6)
    broadcast_indices(x, i, j, out)
    expected = x[i[:, None], j]
    expected[:, 0] = x[i, i]
    torch.testing.assert_close(out, expected)


@helion.kernel(config=ROWS)
def shifted(x, out):
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile - 1] + 10 * x[tile + 2]


def test_shifted_tiles_read_zero_outside() -> None:
    x = torch.randn(21)
    out = torch.empty(21)
    shifted(x, out)
    padded = torch.nn.functional.pad(x, (1, 2))
    torch.testing.assert_close(out, padded[:21] + 10 * padded[3:])


@helion.kernel(config=ROWS)
def mixed_subscript(x, out):
    for tile in hl.tile(x.size(1)):
        out[:, tile, None] = x[-1, tile, 1:7:2].transpose(0, 1)[..., None]


def test_negative_index_strided_slice_and_none() -> None:
    x = torch.randn(3, 21, 9)
    out = torch.empty(3, 21)
    with pytest.raises(exc.RankMismatch):
        masked_copy.fn
        too_deep(x, out)
    mixed_subscript(x, out)
    torch.testing.assert_close(out, x[-1, :, 1:7:2].T)


@helion.kernel(config=ROWS)
def too_deep(x, out):
    for tile in hl.tile(x.size(1)):
        out[tile, tile, tile] = 0.0


# --- unusual tensors


@helion.kernel(config=ROWS)
def double_rows(x, out):
    for tile in hl.tile(x.size(0)):
        v = x[tile, :]
        out[tile, :] = v * 2 + v.sum(0, keepdim=True) * 0


@pytest.mark.parametrize(
    "x",
    [
        torch.randn(7).expand(21, 7), torch.randn(21, 1).expand(21, 7), torch.randn(1, 1).expand(21, 7),
        torch.randn(7, 21).T, torch.randn(42, 14)[::2, 1::2], torch.randn(21, 1), torch.randn(1, 7), torch.randn(1, 1),
        torch.randn(0, 7), torch.randn(21, 16)[:, 3:10],
    ],
    ids=["stride0-rows", "stride0-columns", "stride0-both", "transposed", "strided", "n1", "1n", "11", "empty",
         "offset"],
)  # fmt: skip
def test_layouts(x: torch.Tensor) -> None:
    out = torch.full(x.shape, 5.0)
    double_rows(x, out)
    torch.testing.assert_close(out, x * 2)


@helion.kernel(config=ROWS)
def column_sums(x, out):
    for tile in hl.tile(x.size(1)):
        out[tile] = x[:, tile].sum(0)


@pytest.mark.parametrize("x", [torch.randn(21).expand(6, 21), torch.randn(6, 1).expand(6, 21), torch.randn(0, 21)])
def test_reductions_over_expanded_and_empty_dims(x: torch.Tensor) -> None:
    out = torch.full((21,), 5.0)
    column_sums(x, out)
    torch.testing.assert_close(out, x.sum(0))


@pytest.mark.parametrize("static_shapes", [True, False])
@pytest.mark.parametrize("indexing", ["pointer", "block_ptr"])
def test_sums_of_rows_without_elements(indexing: str, static_shapes: bool) -> None:
    @helion.kernel(config=helion.Config(block_sizes=[4], indexing=indexing), static_shapes=static_shapes)
    def row_sums(x):
        out = torch.full([x.size(0)], 5.0)
        for tile in hl.tile(x.size(0)):
            out[tile] = x[tile, :].sum(1)
        return out

    torch.testing.assert_close(row_sums(torch.randn(7, 0)), torch.zeros(7))


@helion.kernel(config=ROWS)
def scalars(x, scale, out, total):
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] * scale[()] + scale
        total[()] = scale[()] * 2


def test_zero_dimensional_tensors() -> None:
    x, scale = torch.randn(21), torch.tensor(3.0)
    out, total = torch.empty(21), torch.tensor(0.0)
    scalars(x, scale, out, total)
    torch.testing.assert_close(out, x * 3 + 3)
    assert total.item() == 6.0


@helion.kernel(config=helion.Config(block_sizes=[4]))
def far_apart(x, out):
    for tile in hl.tile(x.size(0)):
        out[tile, :] = x[tile, :]


def test_offsets_beyond_32_bits() -> None:
    memory = torch.empty(2**32 + 100, dtype=torch.int8)  # pages that nobody touches cost nothing
    x = memory.as_strided((3, 8), (2**31, 1))
    x[:] = torch.arange(24).reshape(3, 8)
    out = torch.zeros(3, 8, dtype=torch.int8)
    far_apart(x, out)
    assert torch.equal(out, x)
    assert "tl.int64" in far_apart.bind((x, out)).to_triton_code()


@helion.kernel(config=helion.Config(block_sizes=[1024]))
def huge_vector(x):
    for tile in hl.tile(x.size(0)):
        x[tile] = 0


def test_program_offsets_of_huge_vectors_are_64_bits_wide() -> None:
    code = huge_vector.bind((torch.empty(2**31 + 5000, dtype=torch.int8),)).to_triton_code()
    offset = next(line for line in code.splitlines() if "offset_tile =" in line)
    assert "int64" in offset


@helion.kernel(config=helion.Config(block_sizes=[8]))
def thirds_apart(x, out):
    third = x.size(0) // 3
    for tile in hl.tile(out.size(1)):
        for part in range(3):
            out[part, tile] = x[tile + part * third]


def test_a_tile_further_on_than_32_bits_count() -> None:
    x = torch.empty(3 * 2**30 + 24, dtype=torch.int8)
    third = x.size(0) // 3
    for part in range(3):
        x[part * third :][:11] = torch.arange(11) + 20 * part
    out = torch.zeros(3, 11, dtype=torch.int8)
    thirds_apart(x, out)
    assert torch.equal(out, torch.arange(11, dtype=torch.int8) + 20 * torch.arange(3, dtype=torch.int8)[:, None])
    bound = thirds_apart.bind((x, out))
    bound.compile_for(parse_target("sm_90"))


@helion.kernel(config=ROWS)
def same_twice(x, y):
    for tile in hl.tile(x.size(0)):
        y[tile] = x[tile] + y[tile]


def test_the_same_tensor_twice() -> None:
    x = torch.randn(21)
    expected = x * 2
    same_twice(x, x)
    torch.testing.assert_close(x, expected)


# --- atomics


@helion.kernel(config=ROWS)
def histogram(x, counts, before):
    for tile in hl.tile(x.size(0)):
        before[tile] = hl.atomic_add(counts, [x[tile]], 1, sem="relaxed")


def test_atomic_add_returns_the_previous_value() -> None:
    x = torch.randint(0, 5, (37,))
    counts, before = torch.zeros(5, dtype=torch.int32), torch.empty(37, dtype=torch.int32)
    histogram(x, counts, before)
    assert torch.equal(counts, torch.bincount(x, minlength=5).int())
    for value in range(5):  # each count was seen once
        assert sorted(before[x == value].tolist()) == list(range(int(counts[value])))


@helion.kernel(config=helion.Config(block_sizes=[8, 16]))
def split_sums(x, out):
    for tile_m, tile_n in hl.tile(x.shape):
        hl.atomic_add(out, [tile_m], x[tile_m, tile_n].sum(1))


def test_atomic_add_of_floats() -> None:
    x, out = torch.randn(11, 45), torch.zeros(11)
    split_sums(x, out)
    torch.testing.assert_close(out, x.sum(1), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_atomic_add_of_other_floats(dtype: torch.dtype) -> None:
    x = torch.randint(-9, 9, (11, 45)).to(dtype) / 4  # exact in any order
    out = torch.zeros(11, dtype=dtype)
    split_sums(x, out)
    torch.testing.assert_close(out, x.double().sum(1).to(dtype), rtol=0, atol=0)


@helion.kernel(config=ROWS)
def many_atomics(x, tensors, before):
    for tile in hl.tile(x.size(0)):
        v = x[tile]
        before[0, tile] = hl.atomic_and(tensors[0], [tile], v)
        before[1, tile] = hl.atomic_or(tensors[1], [tile], v)
        before[2, tile] = hl.atomic_xor(tensors[2], [tile], v)
        before[3, tile] = hl.atomic_max(tensors[3], [tile], v)
        before[4, tile] = hl.atomic_min(tensors[4], [tile], v)
        before[5, tile] = hl.atomic_xchg(tensors[5], [tile], v, sem="acq_rel")
        before[6, tile] = hl.atomic_cas(tensors[6], [tile], 3, v)


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
def test_every_atomic(dtype: torch.dtype) -> None:
    x = torch.randint(-9, 9, (21,), dtype=dtype)
    olds = [torch.randint(-9, 9, (21,), dtype=dtype) for _ in range(7)]
    olds[6] = torch.randint(2, 5, (21,), dtype=dtype)
    tensors, before = [t.clone() for t in olds], torch.empty(7, 21, dtype=dtype)
    many_atomics(x, tensors, before)
    new = [olds[0] & x, olds[1] | x, olds[2] ^ x, torch.maximum(olds[3], x), torch.minimum(olds[4], x), x]
    new.append(torch.where(olds[6] == 3, x, olds[6]))
    for k in range(7):
        assert torch.equal(tensors[k], new[k]), k
        assert torch.equal(before[k], olds[k]), k


@helion.kernel(config=ROWS)
def exchange(x, out, before):
    for tile in hl.tile(x.size(0)):
        before[tile] = hl.atomic_xchg(out, [tile], x[tile])


def test_exchange_of_floats() -> None:
    x, out, before = torch.randn(21), torch.randn(21), torch.empty(21)
    old = out.clone()
    exchange(x, out, before)
    assert torch.equal(out, x)
    assert torch.equal(before, old)


# --- stack tensors


@helion.kernel(config=ROWS)
def stacked(pointers, example, out):
    for tile in hl.tile(example.size(0)):
        stack = hl.stacktensor_like(example, pointers[:])
        out[:, tile] = stack[tile] * 2
        hl.store(stack, [tile], hl.load(stack, [tile]) + 1)


def test_tensors_behind_pointers() -> None:
    tensors = [torch.randn(21) for _ in range(3)]
    old = torch.stack(tensors)
    pointers = torch.tensor([t.data_ptr() for t in tensors])
    out = torch.empty(3, 21)
    stacked(pointers, tensors[0], out)
    torch.testing.assert_close(out, old * 2)
    torch.testing.assert_close(torch.stack(tensors), old + 1)


# --- refused


@helion.kernel(config=ROWS)
def atomic_on_half_ints(x):
    for tile in hl.tile(x.size(0)):
        hl.atomic_add(x, [tile], 1)


@helion.kernel(config=ROWS)
def atomic_unknown_order(x):
    for tile in hl.tile(x.size(0)):
        hl.atomic_add(x, [tile], 1, sem="seq_cst")


@helion.kernel(config=ROWS)
def boolean_index(x):
    for tile in hl.tile(x.size(0)):
        x[x[tile] > 0] = 0


@helion.kernel(config=ROWS)
def mask_of_another_shape(x):
    for tile in hl.tile(x.size(0)):
        hl.store(x, [tile], 0.0, extra_mask=hl.full([3], 1, torch.bool))


@helion.kernel(config=ROWS)
def unknown_eviction(x):
    for tile in hl.tile(x.size(0)):
        x[tile] = hl.load(x, [tile], eviction_policy="soon")


@helion.kernel(config=ROWS)
def float_index(x):
    for tile in hl.tile(x.size(0)):
        x[tile] = x[x[tile]]


@pytest.mark.parametrize(
    ("kernel", "dtype", "error"),
    [
        (atomic_on_half_ints, torch.int16, exc.DtypeMismatch),
        (atomic_unknown_order, torch.int32, exc.InvalidArgument),
        (boolean_index, torch.float32, exc.DataDependentShape),
        (mask_of_another_shape, torch.float32, exc.ShapeMismatch),
        (unknown_eviction, torch.float32, exc.InvalidArgument),
        (float_index, torch.float32, exc.InvalidIndexing),
    ],
)
def test_refused(kernel, dtype: torch.dtype, error: type[exc.Base]) -> None:
    with pytest.raises(error) as caught:
        kernel(torch.zeros(21, dtype=dtype))
    assert caught.value.location.line == kernel.fn.__code__.co_firstlineno + 3


@helion.kernel(use_default_config=True)
def updated_in_place(x: torch.Tensor) -> torch.Tensor:
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        total = hl.zeros([tile])
        for inner in hl.tile(x.size(1)):
            v = x[tile, inner].mul_(2)
            v += 1
            total += v.sum(1)
            unused = x[tile, inner]
            unused += 1
        x[tile, 0] += total
        out[tile, :] = x[tile, :].clamp_(min=0).add_(total[:, None])
    return out


def test_a_loaded_tile_may_be_updated_in_place_where_the_result_is_used():
    x = torch.randn(7, 19, generator=torch.Generator().manual_seed(0))
    total = (2 * x.double() + 1).sum(1)
    expected = x.double()
    expected[:, 0] += total
    expected = expected.clamp(min=0) + total[:, None]
    torch.testing.assert_close(updated_in_place(x.clone()).double(), expected, rtol=1e-5, atol=1e-5)


@helion.kernel(use_default_config=True)
def kept_in_a_dict_of_the_host(x: torch.Tensor) -> torch.Tensor:
    kept = {"factor": 2}
    out = torch.empty_like(x)
    for tile in hl.tile(x.size()):
        kept["v"] = x[tile]
        out[tile] = kept["v"] * kept["factor"]
    return out


def test_a_dict_of_the_host_may_hold_device_values_within_the_loop():
    x = torch.randn(7, 19, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(kept_in_a_dict_of_the_host(x), 2 * x)
