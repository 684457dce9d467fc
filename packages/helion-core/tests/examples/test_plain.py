"""Every example as plain PyTorch, tile by tile, against the compiled kernel under the same sampled configs."""

import dataclasses
import random
import sys
from pathlib import Path

import pytest
import torch
from torch.utils._pytree import tree_map_only

from helion import exc
from helion.lower.layout import Layout, tiles_of

FOLDER = Path(__file__).parents[2] / "examples"
sys.path.insert(0, str(FOLDER))
import _harness  # noqa: E402

FEW, MANY = 2, 5  # configs per specialisation, in every run and in the slow one
LARGEST_BLOCK = 64
MOST_PROGRAMS = 24  # a program takes milliseconds, compiled for the interpreter and as plain PyTorch alike


def sampled(bound, count, seed):
    """Configs that differ in what plain PyTorch knows of: block sizes small enough for partial tiles, not too small."""
    rng = random.Random(seed)
    keys = bound.config_spec.lists.get("block_sizes", [])
    found = [bound.default_config()]
    for _ in range(200):
        if len(found) == count or not keys:
            break
        sizes = [rng.choice([c for c in key.choices if c <= LARGEST_BLOCK]) for key in keys]
        config = bound.config_spec.normalize(bound.default_config().replace(block_sizes=sizes))
        layout = Layout(bound.program, dict(zip(bound.program.blocks, sizes, strict=True)))
        programs = 1
        for phase in bound.program.phases:
            for r in phase.ranges:
                programs *= tiles_of(r, layout) or 1
        if programs <= MOST_PROGRAMS and config not in found:
            found.append(config)
    return found


def fresh(args):
    return tree_map_only(torch.Tensor, torch.clone, args)


def run(module, case, configs, plain):
    """The case with every specialisation of the module's kernels set to its config."""
    for kernel in _harness.kernels(module).values():
        kernel.settings = dataclasses.replace(kernel.settings, interpret=plain)
    for bound, config in configs.items():
        bound._compiled.clear()
        bound.set_config(config)
    return case.run(*fresh(case.args))


@pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", _harness.names())
def test_plain_agrees_with_compiled(name, count):
    module = _harness.load(name)
    for kernel in _harness.kernels(module).values():
        kernel.reset()
    compared = 0
    dtype = _harness.dtypes(module)[0]
    for case in _harness.make(module, "cpu", dtype)[:3]:
        torch.manual_seed(1)
        case.run(*fresh(case.args))  # binds
        bounds = list(_harness.bound_kernels(module))
        choices = {bound: sampled(bound, count, k) for k, bound in enumerate(bounds)}
        for k in range(max(map(len, choices.values()))):
            configs = {bound: found[k % len(found)] for bound, found in choices.items()}
            torch.manual_seed(2)
            compiled = run(module, case, configs, plain=False)
            torch.manual_seed(2)
            plain = run(module, case, configs, plain=True)
            allowed = 4 * _harness.tolerance(module, case.args, compiled)
            assert _harness.difference(plain, tree_map_only(torch.Tensor, lambda t: t, compiled)) <= allowed, (
                case.name,
                configs,
            )
            compared += 1
        for kernel in _harness.kernels(module).values():
            kernel.settings = dataclasses.replace(kernel.settings, interpret=False)
            kernel.reset()
    assert compared


def test_escape_hatches_say_that_they_are_compiled():
    import helion
    import helion.language as hl

    @helion.kernel(interpret=True, use_default_config=True)
    def asm(x):
        out = torch.empty_like(x)
        for tile in hl.tile(x.size(0)):
            out[tile] = hl.inline_asm_elementwise("mov.b32 $0, $1;", "=r,r", [x[tile]], torch.float32)
        return out

    with pytest.raises(exc.UnsupportedOperation, match="plain PyTorch"):
        asm(torch.rand(8))


def test_lanes_that_a_last_tile_lacks_are_told():
    import helion
    import helion.language as hl

    @helion.kernel(interpret=True, config=helion.Config(block_sizes=[8, 4]))
    def sums(x):
        out = torch.empty(x.size(0))
        block = hl.register_block_size(4, 8)
        for tile in hl.tile(x.size(0)):
            lanes = hl.zeros([tile, block])
            for part in hl.tile(x.size(1), block_size=block):
                lanes = lanes + x[tile, part]
            out[tile] = lanes.sum(1)
        return out

    x = torch.rand(8, 16)
    torch.testing.assert_close(sums(x), x.sum(1))
    with pytest.raises(exc.UnsupportedOperation, match="plain PyTorch, where a last tile is shorter"):
        sums(torch.rand(8, 19))


def test_the_larger_of_tiles():
    import helion
    import helion.language as hl

    @helion.kernel(interpret=True, use_default_config=True)
    def clamped(x, y):
        out = torch.empty_like(x)
        for tile in hl.tile(x.size()):
            out[tile] = min(max(x[tile], y[tile], -0.5), 1)
        return out

    x, y = torch.randn(5, 7), torch.randn(5, 7)
    torch.testing.assert_close(clamped(x, y), torch.maximum(x, y).clamp(-0.5, 1))
