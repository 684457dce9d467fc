"""Root mean square norm, with and without weight and residual, against float64."""

from __future__ import annotations

import sys

import pytest
import torch

from helion_kernels import rms_norm
from helion_kernels.testing import assert_close, check

INF, NAN = float("inf"), float("nan")


def leaf(*size, dtype=torch.float32):
    return torch.randn(size).to(dtype).requires_grad_()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("weight", [False, True])
def test_values_and_gradients(dtype, residual, weight):
    check(
        rms_norm, leaf(13, 70, dtype=dtype), [70], leaf(70, dtype=dtype) if weight else None, 1e-6,
        residual=leaf(13, 70, dtype=dtype) if residual else None,
    )  # fmt: skip


@pytest.mark.parametrize("size", [(1, 1), (4, 1), (1, 9), (2, 3, 20), (5,), (0, 4), (2, 0, 4)])
def test_sizes(size):
    # with a large eps: over one element the gradient is that of eps alone
    check(rms_norm, leaf(*size), size[-1:], leaf(size[-1]), 0.1)


def test_several_dimensions_and_strides():
    x = torch.randn(6, 4, 10).transpose(0, 1).requires_grad_()
    check(rms_norm, x, [6, 10], leaf(6, 10), 1e-5)
    check(rms_norm, torch.randn(6, 40)[:, ::2].requires_grad_(), [20], leaf(20), residual=leaf(6, 20))


def test_weight_of_another_dtype():
    out = check(rms_norm, leaf(5, 16, dtype=torch.bfloat16), [16], leaf(16))
    assert out.dtype is torch.bfloat16


def test_default_eps_is_that_of_torch(interpret):
    for dtype in (torch.float32, torch.bfloat16):
        x = torch.full((2, 8), 1e-3, dtype=dtype)
        assert_close(rms_norm(x, [8]), torch.nn.functional.rms_norm(x.float(), [8]), 1e-2)


def test_only_one_of_two_results_is_used(interpret):
    x, residual, weight = leaf(5, 12), leaf(5, 12), leaf(12)
    y, total = rms_norm(x, [12], weight, residual=residual)
    assert_close(torch.autograd.grad(total.sum(), [x, residual], retain_graph=True), [torch.ones(5, 12)] * 2, 0)
    check(lambda *args: rms_norm(*args[:-1], residual=args[-1])[0], x, [12], weight, 1e-6, residual)


def test_extreme_values():
    rows = torch.tensor([[0.0] * 4, [1e18, -1e18, 1, 0], [NAN, 1, 2, 3], [INF, 1, 2, 3], [1e-30] * 4])
    check(rms_norm, rows, [4], None, 1e-6)


def test_mistakes_are_told_by_torch(interpret):
    with pytest.raises(RuntimeError, match="normalized_shape"):
        rms_norm(torch.randn(3, 4), [5])
    with pytest.raises(RuntimeError):
        rms_norm(torch.randn(3, 4), [4], torch.randn(3))


def test_more_rows_than_all_programs_have_in_a_step():
    """Of 12 programs with 16 rows a step; the second step is loaded in the first."""
    check(rms_norm, leaf(801, 48), [48], leaf(48))


def test_the_same_bits_twice(interpret):
    x, weight = leaf(40, 30), leaf(30)
    first, second = (torch.autograd.grad(rms_norm(x, [30], weight).sum(), [x, weight]) for _ in range(2))
    assert all(map(torch.equal, first, second))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("weight", [False, True])
@pytest.mark.parametrize(("what", "value"), [("reads_again", lambda *_: True), ("LONGEST_ROW", 64)])
def test_rows_too_long_for_registers(what, value, dtype, residual, weight, monkeypatch):
    monkeypatch.setattr(sys.modules["helion_kernels.rms_norm"], what, value)
    parameter = leaf(2100, dtype=dtype) if weight else None
    check(
        rms_norm,
        leaf(7, 2100, dtype=dtype),
        [2100],
        parameter,
        residual=leaf(7, 2100, dtype=dtype) if residual else None,
    )


def test_all_dimensions_of_a_matrix():
    check(rms_norm, leaf(3, 5), (3, 5))
    check(rms_norm, leaf(3, 5), (3, 5), leaf(3, 5), residual=leaf(3, 5))
