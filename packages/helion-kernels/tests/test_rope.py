"""Rotary position embedding in both layouts, against float64."""

from __future__ import annotations

import pytest
import torch

from helion_kernels import rope
from helion_kernels.testing import assert_close, check

LAYOUTS = pytest.mark.parametrize("interleaved", [False, True])


def leaf(*size, dtype=torch.float32):
    return torch.randn(size).to(dtype).requires_grad_()


def angles(*size):
    angle = 6 * torch.rand(size)
    return angle.cos(), angle.sin()


@LAYOUTS
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_values_and_gradients(interleaved, dtype):
    cos, sin = angles(11, 8)
    args = leaf(2, 4, 11, 16, dtype=dtype), leaf(2, 2, 11, 16, dtype=dtype), cos.to(dtype), sin.to(dtype)
    check(rope, *args, interleaved=interleaved)


@LAYOUTS
def test_angles_of_every_batch_in_float32(interleaved):
    q, k = leaf(3, 2, 5, 12, dtype=torch.bfloat16), leaf(3, 1, 5, 12, dtype=torch.bfloat16)
    check(rope, q, k, *angles(3, 5, 6), interleaved=interleaved)


@LAYOUTS
@pytest.mark.parametrize("size", [(1, 1, 1, 2), (0, 2, 3, 4), (2, 3, 0, 4), (1, 2, 3, 6)])
def test_sizes(interleaved, size):
    check(rope, leaf(*size), leaf(*size), *angles(size[2], size[3] // 2), interleaved=interleaved)


@LAYOUTS
def test_strides_are_kept(interleaved):
    fused = torch.randn(2, 7, 3 * 4 * 16)
    q, k, _ = (t.unflatten(-1, (4, 16)).transpose(1, 2).detach().requires_grad_() for t in fused.chunk(3, -1))
    out = check(rope, q, k, *angles(7, 8), interleaved=interleaved)
    assert out[0].transpose(1, 2).is_contiguous()


@LAYOUTS
def test_a_rotation_and_its_inverse(interpret, interleaved):
    q, k, (cos, sin) = leaf(2, 3, 5, 8), leaf(2, 3, 5, 8), angles(5, 4)
    there = rope(q, k, cos, sin, interleaved=interleaved)
    assert_close(rope(*there, cos, -sin, interleaved=interleaved), (q, k), 1e-5)


def test_only_one_of_two_results_is_used():
    check(lambda *args: rope(*args)[1], leaf(2, 3, 5, 8), leaf(2, 3, 5, 8), *angles(5, 4))


def test_second_derivatives(interpret):
    q, k, (cos, sin) = leaf(1, 2, 3, 4), leaf(1, 2, 3, 4), angles(3, 2)
    (dq,) = torch.autograd.grad(rope(q, k, cos, sin)[0].pow(3).sum(), q, create_graph=True)
    (exact,) = torch.autograd.grad(rope(q.double(), k, cos, sin)[0].pow(3).sum(), q, create_graph=True)
    assert_close(torch.autograd.grad(dq.sum(), q), torch.autograd.grad(exact.sum(), q), 1e-5)


@pytest.mark.filterwarnings("ignore::helion_kernels.FallbackWarning")
def test_angles_that_are_learnt_are_left_to_torch(interpret):
    cos, sin = (a.requires_grad_() for a in angles(3, 2))
    q, _ = rope(leaf(1, 2, 3, 4), leaf(1, 2, 3, 4), cos, sin)
    assert torch.autograd.grad(q.sum(), cos)[0].shape == cos.shape


def test_mistakes():
    with pytest.raises(ValueError, match=r"cos \[3, 4\]"):
        rope(leaf(1, 2, 3, 4), leaf(1, 2, 3, 4), *angles(3, 4))
    with pytest.raises(ValueError, match="even d"):
        rope(leaf(1, 2, 3, 5), leaf(1, 2, 3, 5), *angles(3, 2))


@LAYOUTS
@pytest.mark.parametrize("size", [(2, 5, 17, 80), (1, 3, 40, 6)])
def test_heads_that_are_neighbours(interleaved, size):
    """Many of them go through one program: an odd number, and more than one program takes."""
    q, k = (leaf(*size).transpose(1, 2).detach().requires_grad_() for _ in range(2))
    check(rope, q, k[:, ::3], *angles(size[1], size[3] // 2), interleaved=interleaved)


@pytest.mark.parametrize("size", [(), (4,), (5, 4), (2, 5, 4)])
def test_too_few_dimensions(size):
    with pytest.raises(ValueError, match="do not fit"):
        rope(torch.zeros(size), torch.zeros(size), torch.zeros(5, 2), torch.zeros(5, 2))
