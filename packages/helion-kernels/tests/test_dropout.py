"""Dropout: what is kept, how it is scaled, and that the backward pass draws the same mask."""

from __future__ import annotations

import pytest
import torch

from helion_kernels import dropout

pytestmark = pytest.mark.usefixtures("interpret")


def seed(value):
    return torch.tensor([value])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("p", [0.1, 0.75])
def test_mask_scale_and_gradient(dtype, p):
    x = (torch.rand(50, 60) + 1).to(dtype).requires_grad_()
    y = dropout(x, p)
    kept = y != 0
    assert abs(kept.double().mean().item() - (1 - p)) < 0.04
    expected = torch.where(kept, x.double() / (1 - p), 0.0)
    assert ((y.double() - expected).abs() <= 0.01 * expected.abs()).all()
    grad = torch.rand(50, 60).to(dtype) + 1
    (dx,) = torch.autograd.grad(y, x, grad)
    wanted = torch.where(kept, grad.double() / (1 - p), 0.0)
    assert ((dx.double() - wanted).abs() <= 0.01 * wanted.abs()).all()


def test_a_seed_decides():
    x = torch.ones(2000)
    first = dropout(x, 0.5, seed=seed(7))
    assert torch.equal(first, dropout(x, 0.5, seed=seed(7)))
    assert not torch.equal(first, dropout(x, 0.5, seed=seed(8)))
    assert not torch.equal(first, dropout(x, 0.5, seed=seed(7 + 2**32))), "all 64 bits count"
    torch.manual_seed(3)
    drawn = dropout(x, 0.5)
    assert not torch.equal(drawn, dropout(x, 0.5))
    torch.manual_seed(3)
    assert torch.equal(drawn, dropout(x, 0.5))


def test_the_mask_depends_on_the_position_alone():
    x = torch.ones(40, 50)
    assert torch.equal(dropout(x, 0.5, seed=seed(1)).flatten(), dropout(x.flatten(), 0.5, seed=seed(1)))
    assert torch.equal(dropout(x.t(), 0.5, seed=seed(1)), dropout(x.t().contiguous(), 0.5, seed=seed(1)))


@pytest.mark.parametrize("size", [(), (1,), (0, 3), (2, 3, 4)])
def test_sizes(size):
    assert dropout(torch.ones(size), 0.5).shape == size


def test_nothing_and_everything():
    x = torch.randn(5, 6)
    assert torch.equal(dropout(x, 0.0), x)
    assert torch.equal(dropout(x, 1.0), torch.zeros(5, 6))
    assert torch.equal(dropout(x, 0.5, training=False), x)


def test_extreme_values():
    x = torch.tensor([float("inf"), -float("inf"), float("nan")] * 50)
    y = dropout(x, 0.5, seed=seed(2))
    kept = dropout(torch.ones(150), 0.5, seed=seed(2)) != 0
    assert torch.equal(y[kept].nan_to_num(), x[kept].nan_to_num())
    assert y[~kept].isnan().all(), "times 0, as torch does"


def test_mistakes():
    with pytest.raises(ValueError, match="dropout probability"):
        dropout(torch.ones(3), 1.5)
    with pytest.raises(ValueError, match="one int64"):
        dropout(torch.ones(3), 0.5, seed=torch.tensor([1.0]))
