"""Cross entropy with all its options, by itself and fused with a linear layer, against float64."""

from __future__ import annotations

import itertools
import sys

import pytest
import torch

from helion_kernels import cross_entropy, linear_cross_entropy
from helion_kernels.testing import assert_close, check, interpreted

INF, NAN = float("inf"), float("nan")
OPCHECKS = ("test_schema", "test_autograd_registration", "test_faketensor")


def leaf(*size, dtype=torch.float32, scale=3.0):
    return (scale * torch.randn(size)).to(dtype).requires_grad_()


def labels_of(m, n, ignored=()):
    labels = torch.randint(0, n, (m,))
    labels[list(ignored)] = -100
    return labels


@pytest.fixture(params=["resident", "online"])
def rows(request, monkeypatch):
    """Both ways to read a row."""
    if request.param == "online":
        monkeypatch.setattr(sys.modules["helion_kernels.cross_entropy"], "RESIDENT", 0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_values_and_gradients(dtype, rows):
    loss = check(cross_entropy, leaf(11, 130, dtype=dtype), labels_of(11, 130))
    assert loss.dtype is torch.float32


OPTIONS = list(itertools.product(["mean", "sum", "none"], [0.0, 0.1], [0.0, 0.01], [False, True]))


@pytest.mark.parametrize(("reduction", "smoothing", "z_loss", "weighted"), OPTIONS)
def test_options(reduction, smoothing, z_loss, weighted, rows):
    weight = torch.rand(20) if weighted else None
    check(
        cross_entropy, leaf(7, 20), labels_of(7, 20, ignored=[2, 5]), weight, reduction=reduction,
        label_smoothing=smoothing, z_loss=z_loss,
    )  # fmt: skip


@pytest.mark.parametrize("size", [(1, 1), (5, 1), (1, 9)])
def test_sizes(size, rows):
    check(cross_entropy, leaf(*size), labels_of(*size))


def test_one_row():
    for reduction in ("mean", "none"):
        check(cross_entropy, leaf(9), torch.tensor(3), reduction=reduction)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_no_rows(reduction):
    check(cross_entropy, leaf(0, 5), labels_of(0, 5), reduction=reduction)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_everything_ignored(reduction, rows):
    check(cross_entropy, leaf(3, 5), labels_of(3, 5, ignored=[0, 1, 2]), reduction=reduction)


def test_another_ignored_label_and_strides(rows):
    check(cross_entropy, torch.randn(12, 9).t().requires_grad_(), labels_of(9, 12), ignore_index=3)
    check(cross_entropy, torch.randn(6, 40)[:, ::2].requires_grad_(), torch.arange(12)[::2], reduction="none")


def test_extreme_values(rows):
    logits = [[1e4, 0, -1e4], [-INF, 0, 1], [-INF, -INF, -INF], [NAN, 0, 1], [INF, 0, 1], [0, -INF, 3]]
    check(cross_entropy, torch.tensor(logits), torch.tensor([0, 1, 0, 1, 1, 1]), reduction="none")


def test_a_label_that_is_no_class_gives_nan(rows):
    logits, labels = leaf(4, 5), torch.tensor([0, 5, -1, 4])
    with interpreted():
        loss = cross_entropy(logits, labels, reduction="none")
        (grad,) = torch.autograd.grad(loss.sum(), logits)
    assert loss.isnan().tolist() == [False, True, True, False]
    assert grad.isnan().any(1).tolist() == [False, True, True, False]


@pytest.mark.filterwarnings("ignore::helion_kernels.FallbackWarning")
def test_what_is_left_to_torch(interpret):
    assert cross_entropy(torch.randn(2, 3, 4), torch.zeros(2, 4, dtype=torch.int64)).shape == ()
    assert cross_entropy(torch.randn(2, 3), torch.rand(2, 3)).shape == ()
    with pytest.raises(ValueError, match="batch_size"):
        cross_entropy(torch.randn(2, 3), torch.zeros(3, dtype=torch.int64))
    with pytest.raises(ValueError, match="not a valid value for reduction"):
        cross_entropy(torch.randn(2, 3), torch.zeros(2, dtype=torch.int64), reduction="max")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("chunk_rows", [None, 4, 1])
def test_fused(dtype, bias, chunk_rows):
    x, matrix = leaf(9, 24, dtype=dtype, scale=1.0), leaf(30, 24, dtype=dtype, scale=0.3)
    check(
        linear_cross_entropy, x, matrix, labels_of(9, 30, ignored=[4]), leaf(30, dtype=dtype) if bias else None,
        chunk_rows=chunk_rows,
    )  # fmt: skip


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_fused_options(reduction):
    x, matrix = leaf(3, 5, 16, scale=1.0), leaf(20, 16, scale=0.5)
    labels = torch.randint(0, 20, (3, 5))
    options = {"label_smoothing": 0.1, "z_loss": 0.01, "reduction": reduction, "chunk_rows": 4}
    check(linear_cross_entropy, x, matrix, labels, **options)
    check(linear_cross_entropy, x, matrix.detach(), labels, **options)
    check(linear_cross_entropy, x.detach(), matrix.detach(), labels, **options)


def test_fused_mistakes():
    with pytest.raises(ValueError, match="reduction='none'"):
        linear_cross_entropy(torch.randn(3, 4), torch.randn(5, 4), torch.zeros(3, dtype=torch.int64), reduction="none")


def test_fused_is_an_operator_like_others(interpret):
    x, matrix, labels = leaf(6, 8), leaf(10, 8), labels_of(6, 10)
    op = torch.ops.helion_kernels.linear_cross_entropy.default
    torch.library.opcheck(op, (x, matrix, None, labels, -100, 0.1, 0.0, True, 4, True), test_utils=OPCHECKS)
    compiled = torch.compile(linear_cross_entropy, fullgraph=True, backend="aot_eager")
    found, expected = (torch.autograd.grad(f(x, matrix, labels), [x, matrix]) for f in (compiled, linear_cross_entropy))
    assert_close(found, expected, 1e-6)
