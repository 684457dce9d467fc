"""Layer norm, with and without weight and bias, against float64."""

from __future__ import annotations

import sys

import pytest
import torch

from helion_kernels import layer_norm
from helion_kernels.testing import check

INF, NAN = float("inf"), float("nan")


def leaf(*size, dtype=torch.float32):
    return torch.randn(size).to(dtype).requires_grad_()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("weight", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_values_and_gradients(dtype, weight, bias):
    parameters = [leaf(70, dtype=dtype) if given else None for given in (weight, bias)]
    check(layer_norm, (leaf(13, 70) + 3).to(dtype).detach().requires_grad_(), [70], *parameters)


@pytest.mark.parametrize("size", [(1, 1), (4, 1), (1, 9), (2, 3, 20), (5,), (0, 4), (2, 0, 4)])
def test_sizes(size):
    # with a large eps: over one element the gradient is that of eps alone
    check(layer_norm, leaf(*size), size[-1:], leaf(size[-1]), leaf(size[-1]), 0.1)


def test_several_dimensions_and_strides():
    x = torch.randn(6, 4, 10).transpose(0, 1).requires_grad_()
    check(layer_norm, x, [6, 10], leaf(6, 10), leaf(6, 10))
    check(layer_norm, torch.randn(6, 40)[:, ::2].requires_grad_(), [20], leaf(20))


def test_parameters_of_another_dtype():
    x = leaf(5, 16, dtype=torch.bfloat16)
    exact = torch.nn.functional.layer_norm
    out = check(layer_norm, x, [16], leaf(16), leaf(16), reference=exact, gradients=False)
    assert out.dtype is torch.bfloat16


def test_a_large_mean_does_not_drown_the_variance():
    check(layer_norm, (1e4 + torch.randn(5, 200)), [200], tolerance=1e-2)


def test_extreme_values():
    rows = torch.tensor([[3.0] * 4, [1e18, -1e18, 1, 0], [NAN, 1, 2, 3], [INF, 1, 2, 3], [0.0] * 4])
    check(layer_norm, rows, [4])


def test_mistakes_are_told_by_torch(interpret):
    with pytest.raises(RuntimeError, match="normalized_shape"):
        layer_norm(torch.randn(3, 4), [5])
    with pytest.raises(RuntimeError, match="weight"):
        layer_norm(torch.randn(3, 4), [4], torch.randn(3))


def test_more_rows_than_all_programs_have_in_a_step():
    """Of 12 programs with 16 rows a step; the second step is loaded in the first."""
    check(layer_norm, leaf(801, 48), [48], leaf(48), leaf(48))


def test_the_same_bits_twice(interpret):
    x, weight, bias = leaf(40, 30), leaf(30), leaf(30)
    first, second = (torch.autograd.grad(layer_norm(x, [30], weight, bias).sum(), [x, weight, bias]) for _ in "ab")
    assert all(map(torch.equal, first, second))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("weight", "bias"), [(True, True), (False, True), (True, False), (False, False)])
@pytest.mark.parametrize(("what", "value"), [("reads_again", lambda *_: True), ("LONGEST_ROW", 64)])
def test_rows_too_long_for_registers(what, value, dtype, weight, bias, monkeypatch):
    monkeypatch.setattr(sys.modules["helion_kernels.layer_norm"], what, value)
    parameters = [leaf(2100, dtype=dtype) if given else None for given in (weight, bias)]
    check(layer_norm, leaf(7, 4200, dtype=dtype).detach()[:, ::2].requires_grad_(), [2100], *parameters)


def test_all_dimensions_of_a_matrix():
    check(layer_norm, leaf(3, 5), (3, 5))
    check(layer_norm, leaf(3, 5), (3, 5), leaf(3, 5), leaf(3, 5))
    check(layer_norm, leaf(2, 3, 5), (2, 3, 5), leaf(2, 3, 5))
