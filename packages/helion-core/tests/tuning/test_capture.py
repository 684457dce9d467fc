"""What the host code hands to its launch."""

from __future__ import annotations

import pytest
import torch

import helion
import helion.language as hl
from helion.lower.effects import effects
from helion.tuning.capture import Grids, host_shape, run_host


def launches(kernel, args, configs, target):
    bound = kernel.bind(args)
    generated = [bound.generate(c, target) for c in configs]
    return generated, [run_host(g, kernel.normalize_args(*args)) for g in generated]


@helion.kernel()
def added(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    out = torch.empty_like(x)
    for tile_m, tile_n in hl.tile(x.size()):
        out[tile_m, tile_n] = x[tile_m, tile_n] + y[tile_m, tile_n]
    return out


@helion.kernel(static_shapes=False)
def added_dynamic(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    m, n = x.size()
    out = x.new_empty([m, n])
    for tile_m, tile_n in hl.tile([m, n]):
        out[tile_m, tile_n] = x[tile_m, tile_n] + y[tile_m, tile_n]
    m = n = 0
    return out


CONFIGS = [
    {"block_sizes": [16, 32], "num_warps": 4},
    {"block_sizes": [64, 64], "num_warps": 8},
    {"block_sizes": [8, 128], "pid_type": "xyz"},
    {"block_sizes": [8, 16], "pid_type": "persistent_blocked", "num_sm_multiplier": 2},
]


@pytest.mark.parametrize("kernel", [added, added_dynamic])
def test_the_grid_of_another_config_is_evaluated_over_what_was_captured(kernel, h100):
    args = (torch.randn(100, 200), torch.randn(100, 200))
    generated, ran = launches(kernel, args, CONFIGS, h100)
    assert len({host_shape(g) for g in generated}) == 1
    grids = Grids(ran[0])
    assert [grids(g) for g in generated] == [launch.grid for launch in ran]
    assert len({launch.grid for launch in ran}) == 3


@helion.kernel(static_shapes=False)
def doubled_rows(x: torch.Tensor) -> torch.Tensor:
    n = hl.specialize(x.size(1))
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile, :] = x[tile, :] * n
    return out


@pytest.mark.parametrize("config", [{"block_sizes": [1]}, {"block_sizes": [1], "pid_type": "persistent_blocked"}])
def test_a_grid_may_ask_a_captured_tensor_for_a_size_that_the_kernel_does_not_take(config, h100):
    """A block of one row needs no mask, and its kernel no number of rows."""
    (generated,), (launch,) = launches(doubled_rows, (torch.randn(33, 20),), [config], h100)
    assert Grids(launch)(generated) == launch.grid


def test_values_are_the_tensors_of_the_launch_in_order(h100):
    args = (torch.randn(100, 200), torch.randn(100, 200))
    (generated,), (launch,) = launches(added, args, CONFIGS[:1], h100)
    by_name = dict(zip([t.name for t in generated.program.tensors], launch.values, strict=False))
    assert torch.equal(by_name["x"], args[0]) and torch.equal(by_name["y"], args[1])


def test_nothing_after_the_launch_runs_and_no_except_stops_the_capture(h100):
    ran = []

    @helion.kernel()
    def guarded(x: torch.Tensor) -> torch.Tensor:
        out = torch.empty_like(x)
        for tile in hl.tile(x.size(0)):
            out[tile] = x[tile] + 1
        ran.append(1)
        return out

    x = torch.randn(32)
    bound = guarded.bind((x,))
    ran.clear()
    run_host(bound.generate(None, h100), (x,))
    assert not ran


def test_what_host_code_writes_to_its_arguments_stays_in_the_copies(h100):
    @helion.kernel()
    def counting(x: torch.Tensor, counter: torch.Tensor) -> torch.Tensor:
        counter.add_(1)
        for tile in hl.tile(x.size(0)):
            x[tile] = x[tile] * 2
        return x

    x, counter = torch.ones(32), torch.zeros(1)
    launch = run_host(counting.bind((x, counter)).generate(None, h100), (x, counter))
    assert float(counter) == 0.0 and bool((x == 1).all())
    assert launch.values[0].data_ptr() != x.data_ptr()


def test_effects_of_loads_stores_and_atomics():
    @helion.kernel()
    def mixed(x: torch.Tensor, total: torch.Tensor) -> torch.Tensor:
        out = torch.empty_like(x)
        for tile in hl.tile(x.size(0)):
            out[tile] = x[tile]
            hl.atomic_add(total, [0], x[tile].sum())
        return out

    program = mixed.bind((torch.randn(32), torch.zeros(1))).program
    found = effects(program)
    names = [t.name for t in program.tensors]
    assert {names[k] for k in found.reads} == {"x", "total"}
    assert {names[k] for k in found.writes} == {"out", "total"}
    assert not found.by_address
