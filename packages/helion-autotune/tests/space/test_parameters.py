"""Every parameter keeps the promises of the base class."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helion_autotune import Boolean, Enum, Fixed, Integer, ListOf, OrNone, Permutation, PowerOfTwo
from helion_autotune.errors import InvalidParameter
from helion_autotune.space.serialise import parameter_from_json

PARAMETERS = {
    "power": PowerOfTwo(1, 64, 4),
    "one power": PowerOfTwo(16, 16),
    "integer": Integer(-2, 5, 0),
    "enum": Enum(["pointer", "block_ptr", "tensor_descriptor"]),
    "ordered": Enum([None, 64, 128, 255], ordered=True),
    "boolean": Boolean(True),
    "fixed": Fixed([1, 2]),
    "or none": OrNone(PowerOfTwo(16, 128)),
    "permutation": Permutation(3),
    "list": ListOf([PowerOfTwo(16, 64), PowerOfTwo(32, 256)]),
    "list of enums": ListOf.repeat(Enum(["", "first", "last"]), 3),
    "list of or none": ListOf.repeat(OrNone(PowerOfTwo(16, 64)), 2),
    "empty list": ListOf([]),
    "list of orders": ListOf([Permutation(2), Permutation(3)]),
}
every = pytest.mark.parametrize("parameter", PARAMETERS.values(), ids=PARAMETERS)


@every
def test_values_are_all_there_is(parameter) -> None:
    values = parameter.values()
    assert len(values) == parameter.cardinality()
    assert all(parameter.check(v) is None for v in values)
    assert parameter.default in values
    rng = np.random.default_rng(0)
    drawn = [parameter.sample(rng) for _ in range(300)]
    assert all(v in values for v in drawn)
    if parameter.cardinality() <= 8:
        assert all(v in drawn for v in values)


@every
def test_neighbours_are_valid_and_others(parameter) -> None:
    for value in parameter.values():
        near = parameter.neighbours(value)
        assert value not in near
        assert all(parameter.check(v) is None for v in near)
        assert len({json.dumps(v) for v in near}) == len(near)
        assert near == parameter.neighbours(value)


@every
def test_neighbours_reach_every_value(parameter) -> None:
    reached, frontier = [parameter.default], [parameter.default]
    while frontier:
        for value in parameter.neighbours(frontier.pop()):
            if value not in reached:
                reached.append(value)
                frontier.append(value)
    assert len(reached) == parameter.cardinality()


@every
def test_codes_tell_values_apart(parameter) -> None:
    codes = {tuple(parameter.encode(v)) for v in parameter.values()}
    assert len(codes) == parameter.cardinality()
    assert all(len(c) == parameter.width and all(0.0 <= x <= 1.0 for x in c) for c in codes)


@every
def test_distance_is_zero_only_for_equal_values(parameter) -> None:
    values = parameter.values()[:12]
    for a in values:
        for b in values:
            assert (parameter.distance(a, b) == 0) == (a == b)
            assert parameter.distance(a, b) == pytest.approx(parameter.distance(b, a))
            assert parameter.distance(a, b) <= 1.0


@every
def test_mixtures_are_valid(parameter) -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        a, b, c = (parameter.sample(rng) for _ in range(3))
        assert parameter.check(parameter.crossover(a, b, rng)) is None
        assert parameter.check(parameter.differential(a, b, c, rng)) is None
        assert parameter.differential(a, b, b, rng) == a


@every
def test_json_round_trip(parameter) -> None:
    again = parameter_from_json(json.loads(json.dumps(parameter.to_json())))
    assert again.to_json() == parameter.to_json()
    assert again.values() == parameter.values()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-300, 300) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=6,
)


@every
@settings(max_examples=40, deadline=None)
@given(value=json_values)
def test_repair_makes_anything_valid(parameter, value) -> None:
    assert parameter.check(parameter.repair(value)) is None
    if parameter.check(value) is None:
        assert parameter.repair(value) == value


@pytest.mark.parametrize("value", [0, 3, 128, True, 4.0, "4", None, [4]])
def test_power_of_two_refuses(value) -> None:
    assert "power of two from 1 to 64" in PowerOfTwo(1, 64).check(value)


def test_repair_snaps_to_the_nearest() -> None:
    assert PowerOfTwo(16, 64).repair(1024) == 64
    assert PowerOfTwo(16, 64).repair(1) == 16
    assert ListOf([PowerOfTwo(16, 64), PowerOfTwo(16, 64, 32)]).repair([256]) == [64, 32]
    assert Enum([None, 64, 128], ordered=True).repair(100) == 128


@pytest.mark.parametrize(
    "make",
    [
        lambda: PowerOfTwo(3, 8),
        lambda: PowerOfTwo(16, 8),
        lambda: PowerOfTwo(1, 8, 16),
        lambda: Integer(3, 2),
        lambda: Enum([]),
        lambda: Enum(["a", "a"]),
        lambda: Enum([1, True]),
        lambda: Permutation(0),
        lambda: Permutation(2, [0, 0]),
    ],
)
def test_impossible_declarations_are_refused(make) -> None:
    with pytest.raises(InvalidParameter):
        make()


def test_lists_move_all_entries_at_once() -> None:
    indexing = PARAMETERS["list of enums"]
    assert ["first"] * 3 in indexing.neighbours([""] * 3)
    assert ["last"] * 3 in indexing.neighbours(["", "first", "last"])
    blocks = PARAMETERS["list"]
    near = blocks.neighbours([32, 64])
    assert [64, 128] in near, "both a step up"
    assert [16, 32] in near, "both a step down"
    assert [64, 32] in near, "a trade: the same area in another shape"
    assert [32, 128] in near, "one entry alone"
    assert [64, 128] in blocks.neighbours([64, 64]), "an entry at its limit stays while the others move"


@every
def test_alternatives_are_neighbours(parameter) -> None:
    for value in parameter.values():
        near = parameter.neighbours(value)
        assert all(v in near for v in parameter.alternatives(value))


def test_alternatives_are_other_ways_not_more_or_less() -> None:
    assert PARAMETERS["power"].alternatives(4) == PARAMETERS["ordered"].alternatives(64) == []
    assert PARAMETERS["enum"].alternatives("pointer") == ["block_ptr", "tensor_descriptor"]
    assert PARAMETERS["list"].alternatives([16, 32]) == []
    moves = PARAMETERS["list of enums"].alternatives(["", "first", ""])
    assert sorted(moves) == [[""] * 3, ["first"] * 3, ["last"] * 3]


def test_none_stands_next_to_the_largest() -> None:
    parameter = PARAMETERS["or none"]
    assert parameter.neighbours(None) == [128]
    assert None in parameter.neighbours(16)
