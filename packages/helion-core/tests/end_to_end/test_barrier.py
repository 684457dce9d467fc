"""Tile loops with grid-wide barriers between them."""

import pytest
import torch

import helion
import helion.language as hl
from helion.runtime.targets import COMMON, parse_target


def normalise_and_wrap(x):
    m, n = x.shape
    sums = torch.empty(m, dtype=torch.float32, device=x.device)
    out = torch.empty_like(x)
    for tile in hl.tile(m):
        sums[tile] = x[tile, :].float().sum(1)
    hl.barrier()
    for tile in hl.tile(m):
        out[tile, :] = x[tile, :] / sums[tile][:, None] + sums[0]
    hl.barrier()
    for tile in hl.tile(n):
        out[0, tile] = out[m - 1, tile]
    return out


def reference(x):
    sums = x.sum(1, keepdim=True)
    out = x / sums + sums[0]
    out[0] = out[-1]
    return out


@pytest.mark.parametrize("pid_type", ["persistent_interleaved", "persistent_blocked"])
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_stages_see_each_other(pid_type, device):
    x = torch.rand(37, 50, device=device) + 0.1
    kernel = helion.kernel(config={"block_sizes": [4, 16, 8], "pid_type": pid_type})(normalise_and_wrap)
    torch.testing.assert_close(kernel(x), reference(x))


def test_programs_that_wait_must_persist():
    bound = helion.kernel()(normalise_and_wrap).bind((torch.rand(8, 8),))
    with pytest.raises(helion.exc.InvalidConfig, match="pid_type"):
        bound.generate({"block_sizes": [4, 4, 4], "pid_type": "flat"})


@pytest.mark.parametrize("target", COMMON)
def test_compiles(target):
    bound = helion.kernel()(normalise_and_wrap).bind((torch.rand(64, 64),))
    assert bound.compile_for(parse_target(target)).code_size > 0


def test_without_a_barrier_reading_is_refused():
    @helion.kernel()
    def chained(x):
        first, second = torch.empty_like(x), torch.empty_like(x)
        for tile in hl.tile(x.size(0)):
            first[tile] = x[tile]
        for tile in hl.tile(x.size(0)):
            second[tile] = first[tile]
        return second

    with pytest.raises(helion.exc.LoopDependencyError, match="first"):
        chained.bind((torch.rand(8),))


def test_inside_a_loop_a_barrier_is_refused():
    @helion.kernel()
    def nested(x):
        out = torch.empty_like(x)
        for tile in hl.tile(x.size(0)):
            hl.barrier()
            out[tile] = x[tile]
        return out

    with pytest.raises(helion.exc.UnsupportedOperation, match="inside a tile loop"):
        nested.bind((torch.rand(8),))
