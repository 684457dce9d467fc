"""`helion.Config`: a mapping with one spelling inside and several accepted."""

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

import helion
from helion import exc

DOCUMENTED = helion.Config(
    block_sizes=[[64, 128], [16]],
    loop_orders=[[1, 0]],
    num_warps=4,
    num_stages=3,
    indexing="block_ptr",
    l2_grouping=32,
)


def test_is_a_mapping_of_the_keys_given():
    config = helion.Config(num_warps=4, block_sizes=[16, 32])
    assert dict(config) == {"num_warps": 4, "block_sizes": (16, 32)}
    assert len(config) == 2 and "num_warps" in config and "num_stages" not in config
    assert config["num_warps"] == config.num_warps == 4
    assert config.get("num_stages", 7) == 7


def test_unknown_attributes_and_items_raise_what_python_expects():
    with pytest.raises(KeyError):
        DOCUMENTED["maxnreg"]
    with pytest.raises(AttributeError, match="no key `maxnreg`"):
        DOCUMENTED.maxnreg


def test_equal_by_value_whatever_the_order_and_the_kind_of_sequence():
    a = helion.Config(num_warps=4, block_sizes=[16, 32])
    b = helion.Config(block_sizes=(16, 32), num_warps=4)
    assert a == b and hash(a) == hash(b) and len({a, b}) == 1
    assert a != helion.Config(num_warps=8, block_sizes=[16, 32])
    assert a != {"num_warps": 4, "block_sizes": (16, 32)}


def test_cannot_be_changed():
    with pytest.raises(TypeError):
        DOCUMENTED["num_warps"] = 8
    with pytest.raises(AttributeError):
        DOCUMENTED.num_warps = 8


def test_prints_as_the_text_that_recreates_it():
    assert repr(DOCUMENTED) == (
        "helion.Config(block_sizes=[64, 128, 16], loop_orders=[[1, 0]], num_warps=4, num_stages=3, "
        "indexing='block_ptr', l2_groupings=[32])"
    )
    assert eval(repr(DOCUMENTED)) == DOCUMENTED


keys = st.fixed_dictionaries(
    {},
    optional={
        "block_sizes": st.lists(st.sampled_from([1, 16, 64, 1024]), max_size=4),
        "loop_orders": st.lists(st.permutations([0, 1, 2]), max_size=2),
        "reduction_loops": st.lists(st.none() | st.sampled_from([16, 1024]), max_size=2),
        "flatten_loops": st.lists(st.booleans(), max_size=2),
        "indexing": st.sampled_from(["pointer", "block_ptr"])
        | st.lists(st.sampled_from(["pointer", "tensor_descriptor"]), max_size=3),
        "load_eviction_policies": st.lists(st.sampled_from(["", "first", "last"]), max_size=2),
        "maxnreg": st.none() | st.integers(32, 255),
        "num_warps": st.sampled_from([1, 2, 4, 8]),
    },
)


@given(keys)
def test_round_trips(given_keys):
    config = helion.Config(**given_keys)
    assert eval(repr(config)) == config
    assert helion.Config.from_json(config.to_json()) == config
    assert helion.Config.from_dict(config.to_dict()) == config
    again = pickle.loads(pickle.dumps(config))
    assert again == config and hash(again) == hash(config)


def test_json_is_plain_and_sorted():
    assert json.loads(DOCUMENTED.to_json())["loop_orders"] == [[1, 0]]
    assert helion.Config(b=1, a=2).to_json() == helion.Config(a=2, b=1).to_json()


def test_save_and_load(tmp_path):
    DOCUMENTED.save(tmp_path / "config.json")
    assert helion.Config.load(str(tmp_path / "config.json")) == DOCUMENTED


@pytest.mark.parametrize(("text", "said"), [("[1]", "is a list"), ("{", "is not JSON"), ("3", "is a int")])
def test_json_that_holds_no_config(text, said):
    with pytest.raises(exc.InvalidConfig, match=said):
        helion.Config.from_json(text)


def test_replace_makes_a_copy_and_takes_every_spelling():
    changed = DOCUMENTED.replace(l2_grouping=4, num_warps=8)
    assert (changed.l2_groupings, changed.num_warps) == ((4,), 8)
    assert (DOCUMENTED.l2_groupings, DOCUMENTED.num_warps) == ((32,), 4)


@pytest.mark.parametrize(
    ("spelled", "canonical"),
    [
        ({"block_sizes": [[64, 32], [16]]}, {"block_sizes": [64, 32, 16]}),
        ({"block_sizes": [64, [32, [16]]]}, {"block_sizes": [64, 32, 16]}),
        ({"block_size": 64}, {"block_sizes": [64]}),
        ({"block_size": [64, 32]}, {"block_sizes": [64, 32]}),
        ({"loop_order": [1, 0]}, {"loop_orders": [[1, 0]]}),
        ({"flatten_loop": True}, {"flatten_loops": [True]}),
        ({"reduction_loop": None}, {"reduction_loops": [None]}),
        ({"reduction_loop": 1024}, {"reduction_loops": [1024]}),
        ({"l2_grouping": 8}, {"l2_groupings": [8]}),
        ({"range_unroll_factor": 2}, {"range_unroll_factors": [2]}),
        ({"static_range": True}, {"static_ranges": [True]}),
        ({"load_eviction_policy": "last"}, {"load_eviction_policies": ["last"]}),
        ({"use_yz_grid": True}, {"pid_type": "xyz"}),
        ({"use_yz_grid": False}, {"pid_type": "flat"}),
        ({"use_yz_grid": True, "l2_grouping": 8}, {"l2_groupings": [8]}),
        ({"use_yz_grid": True, "l2_groupings": [1]}, {"l2_groupings": [1], "pid_type": "xyz"}),
        ({"use_yz_grid": False, "pid_type": "persistent_blocked"}, {"pid_type": "persistent_blocked"}),
        ({"l2_grouping": 8, "l2_groupings": [8]}, {"l2_groupings": [8]}),
    ],
)
def test_spellings(spelled, canonical):
    assert helion.Config(**spelled) == helion.Config(**canonical)


@pytest.mark.parametrize(
    ("keys", "key"),
    [
        ({"l2_grouping": 8, "l2_groupings": [4]}, "l2_groupings"),
        ({"block_size": 8, "block_sizes": [16]}, "block_sizes"),
        ({"use_yz_grid": True, "pid_type": "persistent_blocked"}, "use_yz_grid"),
        ({"use_yz_grid": 1}, "use_yz_grid"),
    ],
)
def test_contradictions_are_refused(keys, key):
    with pytest.raises(exc.InvalidConfig) as caught:
        helion.Config(**keys)
    assert caught.value.fields["key"] == key
    assert f"config key `{key}`" in str(caught.value) and caught.value.fields["allowed"]


def test_kernels_take_a_config_or_a_dict_of_its_keys_and_not_both_forms():
    def add_one(x):
        return x

    assert helion.kernel(config={"block_size": 16})(add_one).configs == [helion.Config(block_sizes=[16])]
    assert helion.kernel(configs=[DOCUMENTED, {"num_warps": 2}])(add_one).configs[1].num_warps == 2
    with pytest.raises(exc.InvalidConfig, match="together with `config`"):
        helion.kernel(config=DOCUMENTED, configs=[DOCUMENTED])
    with pytest.raises(exc.InvalidConfig, match="is a int"):
        helion.kernel(config=3)
