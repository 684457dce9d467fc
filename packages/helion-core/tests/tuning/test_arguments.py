"""Launch arguments as a file and back: what overlapped overlaps, what travels by value is equal, the rest is poison."""

from __future__ import annotations

import pytest
import torch

from helion.lower.effects import Effects
from helion.tuning.arguments import Arguments, copied, describe, extent, save

CPU = torch.device("cpu")


def effects(reads=(), writes=(), scratch=()):
    return Effects(frozenset(reads), frozenset(writes), frozenset(scratch))


def rebuilt(tmp_path, values, found, **options):
    save(tmp_path / "a.pt", *describe(values, found, **options))
    return Arguments.load(str(tmp_path / "a.pt"), CPU)


def test_sizes_strides_dtypes_and_numbers(tmp_path):
    x = torch.randn(6, 10)[1:5, ::3].t()
    index = torch.randint(0, 100, (7,), dtype=torch.int32)
    arguments = rebuilt(tmp_path, [x, index, 3, 2.5], effects(reads=(0, 1)))
    a, b, *numbers = arguments.values
    assert a.size() == x.size() and a.stride() == x.stride() and torch.equal(a, x)
    assert b.dtype is torch.int32 and torch.equal(b, index)
    assert numbers == [3, 2.5]


def test_one_storage_is_one_storage(tmp_path):
    base = torch.randn(8, 8)
    views = [base, base[2:], base[:, 4:].t()]
    arguments = rebuilt(tmp_path, views, effects(reads=(0, 1, 2)))
    a, b, c = arguments.values
    assert len({t.untyped_storage().data_ptr() for t in (a, b, c)}) == 1
    a.fill_(7.0)
    assert bool((b == 7).all()) and bool((c == 7).all())


def test_only_the_part_that_can_be_reached_travels(tmp_path):
    arena = torch.randn(1_000_000)
    description, contents = describe([arena[500_000:500_100]], effects(reads=(0,)))
    assert contents["0"].numel() < 1000
    assert torch.equal(
        rebuilt(tmp_path, [arena[500_000:500_100]], effects(reads=(0,))).values[0], arena[500_000:500_100]
    )


@pytest.mark.parametrize("offset", [0, 1, 3, 8, 65])
def test_addresses_keep_their_remainder(tmp_path, offset):
    x = torch.arange(300, dtype=torch.uint8)[offset : offset + 100]
    (y,) = rebuilt(tmp_path, [x], effects(reads=(0,))).values
    assert y.data_ptr() % 256 == x.data_ptr() % 256 and torch.equal(x, y)


def test_what_is_only_written_does_not_travel_and_is_poisoned(tmp_path):
    x, out = torch.randn(16), torch.zeros(16)
    description, contents = describe([x, out], effects(reads=(0,), writes=(1,)))
    assert set(contents) == {"0"}
    arguments = rebuilt(tmp_path, [x, out], effects(reads=(0,), writes=(1,)))
    assert bool(arguments.values[1].isnan().all())


def test_restore_brings_back_what_is_read_and_written(tmp_path):
    x = torch.randn(16)
    arguments = rebuilt(tmp_path, [x], effects(reads=(0,), writes=(0,)))
    arguments.values[0].fill_(3.0)
    arguments.restore()
    assert torch.equal(arguments.values[0], x)


def test_zeros_do_not_travel(tmp_path):
    counters = torch.zeros(1000, dtype=torch.int32)
    description, contents = describe([counters], effects(reads=(0,), writes=(0,)))
    assert not contents
    assert torch.equal(rebuilt(tmp_path, [counters], effects(reads=(0,), writes=(0,))).values[0], counters)


def test_past_the_limit_floats_are_drawn_and_integers_still_travel(tmp_path):
    x, index = 5 + 2 * torch.randn(10_000), torch.randint(0, 9, (100,))
    arguments = rebuilt(tmp_path, [x, index], effects(reads=(0, 1)), limit=1000)
    y, same = arguments.values
    assert not torch.equal(x, y) and abs(y.mean() - 5) < 0.2 and abs(y.std() - 2) < 0.2
    assert torch.equal(same, index)


def test_infinities_travel_past_the_limit(tmp_path):
    mask = torch.zeros(1000).masked_fill(torch.arange(1000) > 500, float("-inf"))
    assert torch.equal(rebuilt(tmp_path, [mask], effects(reads=(0,)), limit=10).values[0], mask)


def test_empty_and_scalar_tensors(tmp_path):
    empty, scalar = torch.empty(0, 5), torch.tensor(4.0)
    a, b = rebuilt(tmp_path, [empty, scalar], effects(reads=(0, 1))).values
    assert a.size() == (0, 5) and float(b) == 4.0


def test_snapshot_is_apart_and_scratch_is_no_output(tmp_path):
    out, counter = torch.zeros(4), torch.ones(4)
    arguments = rebuilt(tmp_path, [out, counter], effects(reads=(1,), writes=(0, 1), scratch=(1,)))
    arguments.values[0].fill_(1.0)
    kept = arguments.snapshot()
    arguments.values[0].fill_(2.0)
    assert set(kept) == set(arguments.outputs()) == {0}
    assert bool((kept[0] == 1).all())


def test_a_stray_write_is_noticed(tmp_path):
    x, out = torch.randn(1000), torch.empty(1000)
    arguments = rebuilt(tmp_path, [x, out], effects(reads=(0,), writes=(1,)))
    arguments.values[1].fill_(1.0)
    assert arguments.intact()
    arguments.values[0][123] += 1.0
    assert not arguments.intact()


def test_copies_overlap_like_the_originals():
    base = torch.randn(10)
    a, b = copied([base, base[5:]])
    a.zero_()
    assert bool((b == 0).all()) and bool((base != 0).any())


def test_extent_of_strided_and_expanded():
    x = torch.randn(4, 6)
    assert extent(x) == (0, 96)
    assert extent(x[1:3, ::2]) == (24, 68)
    assert extent(x[0, :1].expand(100)) == (0, 4)
    assert extent(torch.empty(0)) == (0, 0)
