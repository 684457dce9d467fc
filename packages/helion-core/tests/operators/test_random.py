"""Random numbers: distribution, seeds, independence of tile sizes."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import helion
import helion.language as hl
from helion import exc

SMALL, LARGE = helion.Config(block_sizes=[8, 16]), helion.Config(block_sizes=[64, 32])


def body(x, seed, out):
    for tile_m, tile_n in hl.tile(x.shape):
        out[0, tile_m, tile_n] = hl.rand([tile_m, tile_n], seed)
        out[1, tile_m, tile_n] = hl.randint([tile_m, tile_n], 3, 11, seed)
        a, b, c, d = hl.rand4x([tile_m, tile_n], seed + 1)
        out[2, tile_m, tile_n] = a
        out[3, tile_m, tile_n] = torch.maximum(torch.maximum(b, c), d)


@pytest.mark.parametrize("seed", [0, 17, 2**40 + 3])
def test_numbers_depend_on_position_and_seed_only(seed: int) -> None:
    x = torch.empty(50, 40)
    first, second, other = (torch.empty(4, 50, 40) for _ in range(3))
    helion.kernel(config=SMALL)(body)(x, seed, first)
    helion.kernel(config=LARGE)(body)(x, seed, second)
    helion.kernel(config=LARGE)(body)(x, seed + 5, other)
    assert torch.equal(first, second)
    assert (first[0] == other[0]).float().mean() < 0.01
    for uniform in (first[0], first[2]):
        assert uniform.min() >= 0
        assert uniform.max() < 1
        assert abs(uniform.mean() - 0.5) < 0.03
        assert len(uniform.unique()) > 1950  # 2000 positions, 2000 numbers
    assert set(first[1].unique().tolist()) == set(range(3, 11))
    assert abs(first[3].mean() - 0.75) < 0.03


@helion.kernel(config=LARGE)
def torch_functions(x, out):
    for tile_m, tile_n in hl.tile(x.shape):
        out[0, tile_m, tile_n] = torch.rand([tile_m, tile_n])
        out[1, tile_m, tile_n] = torch.rand_like(x[tile_m, tile_n])
        out[2, tile_m, tile_n] = torch.randn_like(x[tile_m, tile_n])
        out[3, tile_m, tile_n] = torch.randn([tile_m, tile_n])
        out[4, tile_m, tile_n] = torch.bernoulli(x[tile_m, tile_n] * 0 + 0.25)
        out[5, tile_m, tile_n] = torch.nn.functional.dropout(x[tile_m, tile_n] * 0 + 1, 0.25)
        out[6, tile_m, tile_n] = torch.randint(0, 7, [tile_m, tile_n])
        out[7, tile_m, tile_n] = torch.randint_like(x[tile_m, tile_n], 5)


def test_torch_functions_follow_the_generator() -> None:
    x = torch.randn(80, 70)
    runs: list[Any] = []
    for seed in (1, 1, 2, None):
        if seed is not None:
            torch.manual_seed(seed)
        out = torch.empty(8, 80, 70)
        torch_functions(x, out)
        runs.append(out)
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])
    assert not torch.equal(runs[2], runs[3])  # fresh numbers at every call
    out = runs[0]
    for k in range(8):
        for other in range(k):
            if {k, other} in ({0, 1}, {2, 3}):  # the same distribution, drawn twice
                assert (out[k] == out[other]).float().mean() < 0.01
    assert abs(out[0].mean() - 0.5) < 0.02
    assert abs(out[2].mean()) < 0.05
    assert abs(out[2].std() - 1) < 0.05
    assert abs(out[3].std() - 1) < 0.05
    assert abs(out[4].mean() - 0.25) < 0.02
    assert set(out[5].unique().tolist()) == {0.0, torch.tensor(1 / 0.75).item()}
    assert abs(out[5].mean() - 1) < 0.03
    assert set(out[6].unique().tolist()) == set(range(7))
    assert set(out[7].unique().tolist()) == set(range(5))


@helion.kernel(config=SMALL)
def rows_of_unknown_position(x, out):
    for tile_m, tile_n in hl.tile([x.size(0), x.size(0)]):
        out[tile_m, tile_n] = hl.rand([tile_m.block_size * 2, tile_n], 1)[:, :].sum()


@helion.kernel(config=SMALL)
def seed_of_a_string(x, out):
    for tile_m, tile_n in hl.tile(x.shape):
        out[tile_m, tile_n] = hl.rand([tile_m, tile_n], "seed")


@helion.kernel(config=SMALL)
def empty_interval(x, out):
    for tile_m, tile_n in hl.tile(x.shape):
        out[tile_m, tile_n] = hl.randint([tile_m, tile_n], 5, 5, 1)


@pytest.mark.parametrize("kernel", [rows_of_unknown_position, seed_of_a_string, empty_interval])
def test_refused(kernel: Any) -> None:
    with pytest.raises(exc.InvalidArgument) as caught:
        kernel(torch.empty(20, 20), torch.empty(20, 20))
    assert caught.value.location.line == kernel.fn.__code__.co_firstlineno + 3
