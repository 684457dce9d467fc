"""Where configs come from when no table serves: what kernels prefer, and when the planner has the word."""

from __future__ import annotations

import pytest
import torch

import helion.language as hl
from helion.runtime.targets import parse_target
from helion_kernels.frame import choice, kernel
from helion_kernels.frame.kernel import KERNELS

H100 = parse_target("sm_90")


def made(prefer, **options):
    @kernel("softmax", prefer=prefer, **options)
    def doubled(x: torch.Tensor) -> torch.Tensor:
        out = torch.empty_like(x)
        for tile in hl.tile(x.size(0)):
            out[tile] = x[tile] * 2
        return out

    KERNELS.remove(doubled)  # nobody else's business
    return doubled


@pytest.fixture
def x():
    return torch.randn(300)


def test_what_a_kernel_prefers_is_used(x):
    function = made(lambda x: {"block_sizes": [64], "num_warps": x.size(0) // 150})
    config = choice.default(function.bind((x,)), (x,), H100)
    assert config.block_sizes == (64,) and config.num_warps == 2
    torch.testing.assert_close(function(x), x * 2)
    assert function.bind((x,)).config.block_sizes == (64,)


def test_what_holds_for_one_family_of_gpus_is_not_used_on_others(x):
    function = made(lambda _: {"block_sizes": [64]}, prefer_on="sm_9")
    bound = function.bind((x,))
    assert choice.default(bound, (x,), H100).block_sizes == (64,)
    for other in map(parse_target, ("sm_80", "sm_100", "gfx942")):
        assert choice.default(bound, (x,), other) == bound.default_config(other)


def test_it_is_repaired_for_the_sizes_at_hand(x):
    function = made(lambda x: {"block_sizes": [2**30], "num_warps": 64, "no_such_key": 1})
    config = choice.default(function.bind((x,)), (x,), H100)
    assert config.num_warps == 32 and config.block_sizes[0] < 2**30


def test_the_planners_word_where_it_does_not_compile(x, monkeypatch):
    function = made(lambda x: {"block_sizes": [64]})
    bound = function.bind((x,))
    small = parse_target("sm_90")
    object.__setattr__(small, "shared_memory", -1)
    assert choice.default(bound, (x,), small) == bound.default_config(small)


def test_the_planners_word_where_what_is_preferred_spills():
    """As on a GPU with fewer registers than that on which it was found."""

    @kernel("softmax", prefer=lambda _: {"block_sizes": [8], "num_warps": 1})
    def normalised(x: torch.Tensor) -> torch.Tensor:
        out = torch.empty_like(x)
        for tile in hl.tile(x.size(0)):
            out[tile, :] = torch.softmax(x[tile, :], dim=1)
        return out

    KERNELS.remove(normalised)
    x = torch.randn([16, 2048])
    bound = normalised.bind((x,))
    assert bound.compile_for(H100, {"block_sizes": [8], "num_warps": 1}).spills > 256
    assert choice.default(bound, (x,), H100) == bound.default_config(H100)


@pytest.mark.parametrize("prefer", [None, lambda x: {}], ids=["none", "nothing"])
def test_no_table_and_no_preference(x, prefer):
    bound = made(prefer).bind((x,))
    assert choice.default(bound, (x,), H100) == bound.default_config(H100)
