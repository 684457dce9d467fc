"""The examples run, and the transformer learns as torch's does."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
import torch

FOLDER = Path(__file__).parents[1] / "examples"


def load(name):
    spec = importlib.util.spec_from_file_location(f"helion_kernels_examples_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_swap_modules(interpret, capsys):
    load("swap_modules").main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines[:4]] == ["1", "2", "3", "4"]
    assert float(lines[-1].split()[-1]) < 1e-2


def test_the_curve_of_a_step_or_two(interpret):
    example = load("train_transformer")
    sizes = example.Sizes(vocabulary=16, width=16, heads=1, key_heads=1, hidden=16, length=4, batch=1, layers=1)
    curves = [example.train(ops, sizes, 2, "cpu", torch.float32) for ops in (example.Torch, example.Helion)]
    assert example.apart(*curves) < 1e-3


@pytest.mark.slow
def test_a_longer_curve(interpret):
    example = load("train_transformer")
    curves = [example.train(ops, example.SMALL, 60, "cpu", torch.float32) for ops in (example.Torch, example.Helion)]
    assert example.apart(*curves) < 5e-3
    assert curves[1][-1] < 0.9 * curves[1][0]


@pytest.mark.gpu
def test_two_hundred_steps_on_a_gpu():
    example = load("train_transformer")
    ours, torchs = (
        example.train(ops, example.Sizes(), 200, "cuda", torch.bfloat16) for ops in (example.Helion, example.Torch)
    )
    assert example.apart(torchs, ours) < 0.02
    assert ours[-1] < 0.7 * ours[0]
