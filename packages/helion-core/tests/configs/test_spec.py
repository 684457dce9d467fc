"""The search space: what is in it, how configs are checked and repaired, defaults and seeds, candidates that are the
same.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import helion
from helion import exc
from helion.lower.space import search_space, to_config, to_point
from helion.runtime.targets import COMMON, parse_target

sys.path.insert(0, str(Path(__file__).parent))
import kernels

SM90 = parse_target("sm_90")
needs_block_pointers = pytest.mark.skipif(
    not kernels.has_block_pointers(), reason="Triton 3.9 has no block pointers: they are no choice"
)


def empty(*sizes, dtype=torch.bfloat16):
    return torch.empty(sizes, dtype=dtype)


def bound(name, *args):
    return getattr(kernels, name).bind(args)


def matmul_spec(m=4096, n=4096, k=4096, target=SM90, dtype=torch.bfloat16):
    return bound("matmul", empty(m, k, dtype=dtype), empty(k, n, dtype=dtype)).spec_for(target)


def test_only_keys_that_can_change_the_code():
    spec = bound("column_sum", empty(100, 100)).config_spec
    assert not {"loop_orders", "flatten_loops", "l2_groupings", "epilogue_subtile", "range_multi_buffers"} & {
        *spec.lists,
        *spec.scalars,
    }
    assert "xyz" not in spec.scalars["pid_type"].choices


@needs_block_pointers
def test_it_prints_readably(golden):
    golden("matmul_space.txt", str(matmul_spec()))


@pytest.mark.parametrize(
    ("config", "key", "allowed"),
    [
        ({"block_sizes": [100, 64, 64]}, r"block_sizes\[0\]", "power of two"),
        ({"block_sizes": [64, 64]}, "block_sizes", r"has 2 entries"),
        ({"num_warps": 3}, "num_warps", "power of two, 1 to 32"),
        ({"num_stages": 9}, "num_stages", "1 to 8"),
        ({"num_stages": True}, "num_stages", "1 to 8"),
        ({"indexing": "tma"}, "indexing", "'tensor_descriptor'"),
        ({"pid_type": "round"}, "pid_type", "'persistent_blocked'"),
        ({"loop_orders": [[0, 0]]}, "loop_orders", "permutation"),
        ({"reduction_loops": [16]}, "reduction_loops", "no such choice"),
        ({"colour": "red"}, "colour", "no such key"),
    ],
)
def test_illegal_configs_are_refused_with_what_is_allowed(config, key, allowed):
    with pytest.raises(exc.InvalidConfig, match=rf"(?s){key}.*{allowed}"):
        matmul_spec().normalize(helion.Config(**config))


def test_neutral_values_of_foreign_keys_are_accepted():
    matmul_spec().normalize(helion.Config(reduction_loops=[None], flatten_loops=[False]))


def test_a_config_from_elsewhere_is_repaired_with_notes():
    spec = matmul_spec()
    config, notes = helion.Config(block_sizes=[100, 64], num_warps=64, colour="red", reduction_loops=[64]).repair(spec)
    assert config["block_sizes"][:2] == (128, 64) and config["num_warps"] == 32
    assert {note.split(":")[0] for note in notes} == {
        "block_sizes",
        "block_sizes[0]",
        "num_warps",
        "colour",
        "reduction_loops",
    }
    assert spec.normalize(config) == config


def test_a_legal_config_is_left_alone():
    spec = matmul_spec()
    assert spec.default().repair(spec) == (spec.default(), [])


@needs_block_pointers
def test_one_value_for_all_accesses():
    spec = matmul_spec(n=4095)  # rows of y and out are not 16-byte aligned
    assert spec.normalize(helion.Config(indexing="tensor_descriptor"))["indexing"] == "tensor_descriptor"
    assert [key.legal("tensor_descriptor") for key in spec.lists["indexing"]] == [True, False, False]
    with pytest.raises(exc.InvalidConfig, match=r"indexing\[1\]"):
        spec.normalize(helion.Config(indexing=["tensor_descriptor"] * 3))
    assert (
        matmul_spec(target=parse_target("sm_80")).normalize(helion.Config(indexing="tensor_descriptor"))["indexing"]
        == "pointer"
    )


# --- defaults


@pytest.mark.parametrize(
    ("target", "sizes", "tile"),
    [
        ("sm_90", (4096, 4096, 4096), (128, 256, 64)),
        ("sm_90", (1024, 1024, 4096), (64, 128, 64)),
        ("sm_90", (16, 8192, 8192), (16, 64, 128)),
        ("sm_80", (4096, 4096, 4096), (128, 256, 64)),
        ("gfx942", (4096, 4096, 4096), (128, 128, 64)),
    ],
)
def test_matmul_tiles_by_size_and_target(target, sizes, tile):
    m, n, k = sizes
    assert matmul_spec(m, n, k, parse_target(target)).default()["block_sizes"] == tile


@pytest.mark.parametrize(
    ("n", "warps", "loop"), [(1000, 4, None), (8192, 8, None), (32768, 32, None), (65536, 32, 32768)]
)
def test_rows_stay_in_registers_while_they_fit(n, warps, loop):
    default = bound("softmax", empty(128, n)).spec_for(SM90).default()
    assert (default["num_warps"], default["reduction_loops"]) == (warps, (loop,))


@pytest.mark.parametrize(("head", "tile"), [(64, (1, 64, 128)), (128, (1, 128, 64))])
def test_attention_tiles_by_head_size(head, tile):
    default = bound("attention", *(empty(32, 4096, head) for _ in range(3))).spec_for(SM90).default()
    assert default["block_sizes"] == tile and default["indexing"] == "tensor_descriptor"


def test_transposes_use_square_tiles():
    assert bound("transpose", empty(4096, 4096)).spec_for(SM90).default()["block_sizes"] == (64, 64)


HUGE = {
    "matmul": (empty(3, 5), empty(5, 7)), "softmax": (empty(2, 3000000),), "add": (empty(70000, 3), empty(70000, 3)),
    "batched": (empty(1, 1, 1), empty(1, 1, 1)),
}  # fmt: skip


@pytest.mark.parametrize("target", COMMON)
@pytest.mark.parametrize("name", HUGE)
def test_defaults_fit_at_odd_sizes(name, target):
    found = bound(name, *HUGE[name])
    facts = found.compile_for(parse_target(target))
    assert facts.shared_memory <= parse_target(target).shared_memory


# --- the tuner's view


@pytest.mark.parametrize("args", [("matmul", (64, 64), (64, 64)), ("softmax", (64, 300)), ("add", (64, 64), (64, 64))])
def test_points_and_configs_convert_both_ways(args):
    name, *sizes = args
    spec = bound(name, *(empty(*s) for s in sizes)).spec_for(SM90)
    space = search_space(spec)
    rng = np.random.default_rng(0)
    assert to_config(spec, space.default()) == spec.default()
    for _ in range(20):
        point = space.sample(rng)
        assert space.check(to_point(spec, to_config(spec, point))) == []


def test_seeds_are_ranked_and_the_default_leads():
    spec = matmul_spec()
    assert spec.seeds()[0] == spec.default() and 3 <= len(spec.seeds()) <= 8


def test_configs_with_the_same_program_are_one_candidate():
    found = bound("add", empty(40, 40), empty(40, 40))
    same = [
        found.generate(helion.Config(num_sm_multiplier=m, num_stages=s)).identity for m, s in ((1, 1), (2, 1), (1, 5))
    ]
    other = found.generate(helion.Config(num_warps=2)).identity
    assert len(set(same)) == 1 and other not in same


def test_emission_is_quick():
    import time

    found = bound("attention", *(empty(2, 64, 64) for _ in range(3)))
    configs = [
        helion.Config(block_sizes=[1, 16, 16], num_warps=w, num_stages=s) for w in (1, 2, 4, 8) for s in (1, 2, 3)
    ]
    found.generate(configs[0])
    times = []
    for config in configs[1:]:
        start = time.perf_counter()
        found.generate(config)
        times.append(time.perf_counter() - start)
    assert sorted(times)[len(times) // 2] < 0.009  # 3 ms on the developers' machine, with room for slower ones
