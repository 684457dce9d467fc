"""Gated linear units, gate and up apart or side by side, against float64."""

from __future__ import annotations

import functools

import pytest
import torch

from helion_kernels import geglu, swiglu
from helion_kernels.testing import check

INF, NAN = float("inf"), float("nan")
FUNCTIONS = [swiglu, geglu, functools.partial(geglu, approximate="tanh")]
EACH = pytest.mark.parametrize("function", FUNCTIONS, ids=["swiglu", "geglu", "geglu_tanh"])


def leaf(*size, dtype=torch.float32):
    return torch.randn(size).to(dtype).requires_grad_()


@EACH
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_values_and_gradients(function, dtype):
    check(function, leaf(9, 70, dtype=dtype), leaf(9, 70, dtype=dtype))
    check(function, leaf(9, 70, dtype=dtype))


@EACH
@pytest.mark.parametrize("size", [(1,), (2, 3, 6), (0, 4), (4, 0), (1, 1, 1)])
def test_sizes(function, size):
    check(function, leaf(*size), leaf(*size))
    check(function, leaf(*size[:-1], 2 * size[-1]))


@EACH
def test_strides(function):
    wide = torch.randn(6, 40)
    check(function, wide[:, :20].detach().requires_grad_(), wide[:, 20:].detach().requires_grad_())
    check(function, torch.randn(8, 6).t().requires_grad_(), leaf(6, 8))
    check(function, torch.randn(3, 5, 8).transpose(0, 1).requires_grad_())


@EACH
def test_extreme_values(function):
    gate = torch.tensor([0.0, -0.0, 30.0, -30.0, 1e4, -1e4, INF, NAN, 1e-30])
    check(function, gate, torch.full((9,), 2.0))


def test_a_gradient_for_one_only():
    check(swiglu, leaf(4, 6), torch.randn(4, 6))
    check(swiglu, torch.randn(4, 6), leaf(4, 6))


def test_shapes_that_broadcast_are_left_to_torch(interpret):
    assert swiglu(torch.randn(3, 4), torch.randn(4)).shape == (3, 4)
    with pytest.raises(RuntimeError, match="size of tensor"):
        swiglu(torch.randn(3, 4), torch.randn(3))


def test_mistakes(interpret):
    with pytest.raises(ValueError, match="must be even"):
        swiglu(torch.randn(3, 5))
    with pytest.raises(ValueError, match="approximate='fast'"):
        geglu(torch.randn(3, 4), approximate="fast")
