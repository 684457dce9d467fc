from __future__ import annotations

import json

import numpy as np
import pytest

from helion_autotune import Boolean, Enum, Forbid, ListOf, PowerOfTwo, ProductAtMost, SearchSpace
from helion_autotune.errors import InvalidParameter, InvalidPoint, NoValidPoint
from helion_autotune.testing.strategies import mixed_space


def small(**kwargs) -> SearchSpace:
    parameters = {"blocks": ListOf.repeat(PowerOfTwo(16, 64), 2), "warps": PowerOfTwo(1, 8, 4), "flag": Boolean()}
    return SearchSpace(parameters, **kwargs)


def test_default_takes_missing_keys_from_the_parameters() -> None:
    space = small(default={"warps": 8})
    assert space.default() == {"blocks": [32, 32], "warps": 8, "flag": False}
    space.default()["blocks"].append(1)
    assert space.default()["blocks"] == [32, 32], "callers get a copy"


def test_all_reasons_are_given() -> None:
    with pytest.raises(InvalidPoint) as caught:
        small().validate({"blocks": [16, 17], "flag": False, "extra": 1})
    text = str(caught.value)
    assert "unknown key 'extra'" in text
    assert "missing key 'warps'" in text
    assert "blocks: entry 1: 17 is not a power of two from 16 to 64" in text


def test_constraints_hold_everywhere() -> None:
    space = small(constraints=[ProductAtMost(("blocks",), 1024), Forbid({"warps": 1, "flag": True})])
    rng = np.random.default_rng(0)
    for _ in range(100):
        point = space.sample(rng)
        assert space.check(point) == []
        assert all(space.check(p) == [] for p in space.neighbours(point))
    assert all(space.check(p) == [] for p in space.points())
    assert space.check({"blocks": [64, 64], "warps": 4, "flag": False}) == ["product of blocks is 4096, above 1024"]
    assert space.check({"blocks": [16, 16], "warps": 1, "flag": True}) == ["not together: warps=1, flag=True"]


def test_rules_may_be_plain_functions() -> None:
    def odd_warps(point) -> bool:
        return point["warps"] != 8

    space = small(constraints=[odd_warps])
    assert space.check({**space.default(), "warps": 8}) == ["rejected by odd_warps"]
    with pytest.raises(InvalidParameter, match="cannot be stored"):
        space.to_json()


def test_an_invalid_default_or_seed_is_refused_at_once() -> None:
    with pytest.raises(InvalidPoint, match="warps"):
        small(default={"warps": 3})
    with pytest.raises(InvalidPoint, match="above 16"):
        small(default={"blocks": [16, 16]}, constraints=[ProductAtMost(("blocks",), 16)])
    with pytest.raises(InvalidPoint, match="warps"):
        small(seeds=[{"warps": 3}])


def test_sampling_gives_up_with_advice() -> None:
    space = small(constraints=[lambda point: point == {"blocks": [32, 32], "warps": 4, "flag": False} or "no"])
    space.parameters["warps"] = PowerOfTwo(1, 2)
    with pytest.raises(NoValidPoint, match="narrow"):
        space.sample(np.random.default_rng(0))


def test_points_enumerates_the_space_once() -> None:
    space = small()
    points = [json.dumps(p) for p in space.points()]
    assert len(points) == len(set(points)) == space.size == 9 * 4 * 2


def test_codes_have_the_width_of_the_space() -> None:
    space = mixed_space()
    rng = np.random.default_rng(0)
    for _ in range(20):
        assert space.encode(space.sample(rng)).shape == (space.width,)


def test_pinned_keys_never_vary() -> None:
    space = small(seeds=[{"warps": 8}, {"flag": True}], constraints=[Forbid({"warps": 2, "flag": True})])
    pinned = space.pinned({"warps": 2})
    assert {p["warps"] for p in pinned.points()} == {2}
    assert pinned.default()["warps"] == 2
    assert [s["flag"] for s in pinned.seeds] == [False], "the seed that the constraint rejects is gone"
    with pytest.raises(InvalidPoint, match="unknown key"):
        space.pinned({"wraps": 2})
    with pytest.raises(InvalidPoint, match="not a power"):
        space.pinned({"warps": 3})


def test_repair_brings_a_point_from_elsewhere() -> None:
    space = small(constraints=[ProductAtMost(("blocks",), 2048)])
    foreign = {"blocks": [256, 32, 16], "warps": 16, "indexing": "pointer"}
    assert space.repair(foreign) == {"blocks": [64, 32], "warps": 8, "flag": False}
    healed = space.repair({"blocks": [64, 64], "warps": 4, "flag": True})
    assert healed is not None
    assert space.check(healed) == []


def test_seeded_puts_new_seeds_first() -> None:
    space = small(seeds=[{"warps": 8}]).seeded([{"warps": 1}])
    assert [s["warps"] for s in space.seeds] == [1, 8]


def test_json_round_trip() -> None:
    space = mixed_space()
    again = SearchSpace.from_json(json.loads(json.dumps(space.to_json())))
    assert again.to_json() == space.to_json()
    assert again.fingerprint() == space.fingerprint()
    assert again.check({**again.default(), "blocks": [256, 256]}) == space.check(
        {**space.default(), "blocks": [256, 256]}
    )


def test_the_fingerprint_tells_spaces_apart() -> None:
    other = SearchSpace({"blocks": ListOf.repeat(PowerOfTwo(16, 128), 2), "warps": PowerOfTwo(1, 8, 4)})
    assert other.fingerprint() != small().fingerprint()
    assert small(default={"warps": 1}).fingerprint() != small().fingerprint()


def test_distance_ignores_what_cannot_vary() -> None:
    space = SearchSpace({"a": Enum(["x"]), "b": Boolean()})
    assert space.distance({"a": "x", "b": False}, {"a": "x", "b": True}) == 1.0
