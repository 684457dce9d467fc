"""Softmax along any dimension, with extreme values, against float64."""

from __future__ import annotations

import sys

import pytest
import torch

from helion_kernels import log_softmax, softmax
from helion_kernels.softmax import RESIDENT
from helion_kernels.testing import check

FUNCTIONS = pytest.mark.parametrize("function", [softmax, log_softmax], ids=lambda f: f.__name__)
INF, NAN = float("inf"), float("nan")


@FUNCTIONS
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize(("size", "dim"), [((37, 130), -1), ((3, 17, 5), 1), ((6, 10), 0)])
def test_values_and_gradients(function, size, dim, dtype):
    check(function, (3 * torch.randn(size)).to(dtype).requires_grad_(), dim)


@FUNCTIONS
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("beyond", [20000, 20001])
def test_rows_longer_than_registers_hold(function, dtype, beyond):
    """Rows that are not whole steps of the loop over them: such that begin with whole vectors of memory, and others."""
    check(function, (3 * torch.randn(3, RESIDENT + beyond)).to(dtype).requires_grad_(), -1)


@FUNCTIONS
def test_long_rows_with_any_strides(function, monkeypatch):
    monkeypatch.setattr(sys.modules["helion_kernels.softmax"], "RESIDENT", 8)
    x = torch.randn(12, 10, 130)
    for view in (x, x[:, ::2], x[:, :, 1:100], x[0, :, ::3]):
        check(function, view.detach().requires_grad_(), -1)


@FUNCTIONS
@pytest.mark.parametrize("size", [(), (1,), (5,), (4, 1), (1, 7), (2, 3, 4, 5)])
def test_ranks_and_sizes_of_one(function, size):
    out = check(function, torch.randn(size, requires_grad=True), 0)
    assert out.is_contiguous() and out.size() == torch.Size(size)


@FUNCTIONS
@pytest.mark.parametrize("size", [(0, 5), (5, 0), (2, 0, 3)])
@pytest.mark.parametrize("dim", [0, 1])
def test_empty(function, size, dim):
    check(function, torch.randn(size, requires_grad=True), dim)


@FUNCTIONS
def test_strides(function):
    x = torch.randn(12, 10, 6)
    for view in (x.transpose(0, 2), x[:, ::2], x[::3].permute(1, 0, 2), x[0].expand(3, 10, 6)):
        check(function, view.detach().requires_grad_(), -1)
        check(function, view.detach().requires_grad_(), 1)


@FUNCTIONS
def test_extreme_values(function):
    rows = [
        [-INF] * 3,
        [-INF, 0, 1],
        [NAN, 0, 1],
        [INF, 0, 1],
        [3e37, -3e37, 0],
        [1e4, 1e4 + 1, -1e4],
        [-INF, NAN, INF],
    ]
    check(function, torch.tensor(rows), -1)
    check(function, torch.tensor(rows).t(), 0)


@FUNCTIONS
def test_another_dtype(function):
    x = torch.randn(5, 9, dtype=torch.bfloat16, requires_grad=True)
    out = check(function, x, -1, torch.float32, tolerance=1.6e-2, reference=lambda t, *_: function(t, -1))
    assert out.dtype is torch.float32
    narrowed = 100 * torch.randn(5, 9)  # is rounded before, as torch does
    check(function, narrowed, -1, torch.float16, reference=lambda t, *_: function(t.half().double(), -1))


def test_gradient_that_nobody_computed(interpret):
    x = torch.randn(3, 5, requires_grad=True)
    (softmax(x) + 0 * x).sum().backward()  # a gradient of ones, expanded
    assert x.grad.abs().max() < 1e-6


def test_mistakes_are_told_by_torch(interpret):
    with pytest.raises(IndexError, match="Dimension out of range"):
        softmax(torch.randn(3, 4), 2)


def test_second_derivatives_are_refused(interpret):
    x = torch.randn(3, 5, requires_grad=True)
    (grad,) = torch.autograd.grad(softmax(x).square().sum(), x, create_graph=True)
    with pytest.raises(NotImplementedError, match="second derivatives"):
        grad.sum().backward()


def test_the_same_bits_twice(interpret):
    x = torch.randn(20, 300)
    assert torch.equal(softmax(x), softmax(x))
