"""Products with epilogues and their gradients against float64: strides, batches, vectors, split inner dimensions."""

from __future__ import annotations

import importlib

import pytest
import torch

from helion import exc
from helion_kernels import linear, matmul
from helion_kernels.testing import check

module = importlib.import_module("helion_kernels.matmul")  # `helion_kernels.matmul` is the function
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
ACTIVATIONS = ["relu", "gelu", "gelu_tanh", "silu"]


def randn(*size, dtype=torch.float32):
    return torch.randn(size).to(dtype).requires_grad_()


@DTYPES
def test_values_and_gradients(dtype):
    check(matmul, randn(37, 50, dtype=dtype), randn(50, 70, dtype=dtype))


@DTYPES
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_epilogues(activation, dtype):
    x, weight, bias = randn(20, 30, dtype=dtype), randn(40, 30, dtype=dtype), randn(40, dtype=dtype)
    check(linear, x, weight, bias, activation=activation, residual=randn(20, 40, dtype=dtype))


def test_bias_and_residual_alone():
    x, y = randn(100, 20), randn(20, 30)
    check(matmul, x, y, bias=randn(30))
    check(matmul, x, y, residual=randn(100, 30))
    check(matmul, x, y, activation="silu")


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("right", [False, True])
def test_transposed_operands(left, right):
    x = torch.randn(33, 20).t().contiguous().t() if left else torch.randn(33, 20)
    y = torch.randn(20, 40).t().contiguous().t() if right else torch.randn(20, 40)
    check(matmul, x.requires_grad_(), y.requires_grad_())


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((3, 9, 20), (20, 17)),
        ((9, 20), (3, 20, 17)),
        ((2, 3, 9, 20), (2, 3, 20, 17)),
        ((2, 1, 9, 20), (3, 20, 17)),
        ((2, 1, 2, 9, 20), (3, 1, 20, 17)),
        ((20,), (20,)),
        ((20,), (20, 17)),
        ((9, 20), (20,)),
        ((20,), (2, 20, 17)),
        ((2, 9, 20), (20,)),
        ((1, 1), (1, 1)),
    ],
    ids=str,
)
def test_batches_and_vectors(left, right):
    check(matmul, randn(*left), randn(*right))


def test_batches_that_are_views():
    x = torch.randn(9, 3, 20).transpose(0, 1).requires_grad_()
    y = torch.randn(3, 17, 20).transpose(1, 2).requires_grad_()
    check(matmul, x, y)
    check(matmul, x, y[0].detach(), bias=randn(17), activation="gelu", residual=randn(3, 9, 17))
    check(matmul, torch.randn(4, 40, 20)[:, ::2].requires_grad_(), randn(20, 17))


def test_broadcast_batches_are_not_copied():
    x, y = torch.randn(5, 1, 9, 20), torch.randn(3, 20, 17)
    sizes, (left, right) = module._as_four([x, y], (5, 3))
    assert sizes == (5, 3) and left.shape == (5, 1, 9, 20) and right.shape == (1, 3, 20, 17)
    assert left.data_ptr() == x.data_ptr() and right.data_ptr() == y.data_ptr()
    sizes, (merged,) = module._as_four([torch.randn(2, 3, 4, 5, 6)], (2, 3, 4))
    assert sizes == (1, 24) and merged.shape == (1, 24, 5, 6)


@pytest.mark.parametrize(("m", "n", "k"), [(3, 20, 700), (16, 33, 513)])
def test_split_inner_dimension(m, n, k, monkeypatch):
    monkeypatch.setattr(module, "split", lambda *_: 3)
    x, weight, bias = randn(m, k), randn(n, k), randn(n)
    check(linear, x, weight, bias, activation="silu", residual=randn(m, n), tolerance=5e-5)
    check(matmul, x, weight.detach().t(), tolerance=5e-5)


@pytest.mark.parametrize(
    ("m", "n", "k", "parts"),
    [(1, 1024, 8192, 8), (16, 8192, 8192, 1), (4096, 4096, 4096, 1), (64, 64, 400, 1), (64, 64, 2**15, 16)],
)
def test_when_to_split(m, n, k, parts):
    assert module.split(m, n, k, units=132) == parts


@pytest.mark.parametrize(("left", "right"), [((0, 5), (5, 3)), ((4, 0), (0, 3)), ((2, 4, 5), (5, 0))], ids=str)
def test_empty(left, right):
    check(matmul, randn(*left), randn(*right))


def test_an_expanded_gradient(interpret):
    x, y = randn(9, 20), randn(20, 17)
    matmul(x, y).sum().backward()
    torch.testing.assert_close(x.grad, y.detach().sum(1).expand(9, 20))


def test_second_derivatives(interpret):
    x, y = randn(5, 6), randn(6, 7)
    (dx,) = torch.autograd.grad(matmul(x, y).square().sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(dx.sum(), y)
    (dx,) = torch.autograd.grad((x @ y).square().sum(), x, create_graph=True)
    torch.testing.assert_close(second, torch.autograd.grad(dx.sum(), y)[0])


def test_nan_and_infinity(interpret):
    x, y = torch.randn(8, 16), torch.randn(16, 8)
    x[2, 3], x[5, 1] = float("nan"), float("inf")
    for activation in (None, "relu", "gelu_tanh", "silu"):  # torch's own gelu(inf) is NaN on the CPU
        out = matmul(x, y, activation=activation)
        expected = module._by_torch(x, y, None, activation or "none", None)
        torch.testing.assert_close(out, expected, equal_nan=True)


def test_the_same_bits_twice(interpret, monkeypatch):
    monkeypatch.setattr(module, "split", lambda *_: 4)
    x, y = torch.randn(16, 600), torch.randn(600, 16)
    assert torch.equal(matmul(x, y), matmul(x, y))


def test_float32_precision_follows_torch(monkeypatch):
    from helion_kernels.frame import products

    assert not products.tf32_allowed()
    torch.set_float32_matmul_precision("high")
    try:
        assert products.tf32_allowed()
    finally:
        torch.set_float32_matmul_precision("highest")


def test_mistakes(interpret):
    with pytest.raises(exc.InvalidArgument, match="activation"):
        matmul(torch.randn(3, 4), torch.randn(4, 5), activation="tanh")
    with pytest.raises(RuntimeError):
        matmul(torch.randn(3, 4), torch.randn(5, 4))
    with pytest.raises(RuntimeError):
        matmul(torch.randn(3, 4), torch.randn(4, 4), residual=torch.randn(3, 5))


def test_a_bias_of_another_dtype_is_left_to_torch(interpret):
    """Whose result is of both: kernels and torch agree."""
    x, y, bias = torch.randn(4, 8).bfloat16(), torch.randn(8, 5).bfloat16(), torch.randn(5)
    assert matmul(x, y, bias=bias).dtype is torch.float32
    torch.testing.assert_close(matmul(x, y, bias=bias), x @ y + bias)


@pytest.mark.parametrize("activation", ["none", "gelu"])
@pytest.mark.parametrize(
    ("size", "tile"),
    [((2048, 5120, 5120), (64, 256)), ((1024, 5120, 4096), (128, 128)), ((768, 4096, 4096), (128, 256))],
)
def test_defaults_do_not_spill(size, tile, activation):
    """The accumulator of 64x256 by four warps, or 128x256 by eight, takes half the registers, a whole epilogue nearly
    all of the others.
    """
    from helion.runtime.targets import parse_target
    from helion_kernels.frame import choice

    m, n, k = size
    x, weight, bias, residual = (torch.empty(*s, dtype=torch.bfloat16) for s in ((m, k), (n, k), (n,), (m, n)))
    args = x, weight.t(), bias, residual, activation, activation != "none"
    bound, target = module.matmul_tiles.kernels[0].bind(args), parse_target("sm_90")
    config = choice.default(bound, args, target)
    facts = bound.compile_for(target, config)
    assert config.block_sizes == (*tile, 64) and facts.spills == 0
    assert facts.shared_memory <= target.shared_memory
