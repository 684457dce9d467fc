"""Cross entropy with all its options, against float64."""

from __future__ import annotations

import itertools

import pytest
import torch

from helion_kernels import cross_entropy
from helion_kernels.frame import vectors
from helion_kernels.losses import forward
from helion_kernels.testing import check, interpreted

INF, NAN = float("inf"), float("nan")


def leaf(*size, dtype=torch.float32, scale=3.0):
    return (scale * torch.randn(size)).to(dtype).requires_grad_()


def labels_of(m, n, ignored=()):
    labels = torch.randint(0, n, (m,))
    labels[list(ignored)] = -100
    return labels


@pytest.fixture(params=["resident", "online", "vectors"])
def rows(request, monkeypatch):
    """The ways to read a row; vectors where it is longer than 16, and no multiple of 8."""
    if request.param == "online":
        monkeypatch.setattr(forward, "RESIDENT", 0)
    if request.param == "vectors":
        monkeypatch.setattr(vectors, "LONGEST_BY_ELEMENTS", vectors.SHORTEST)


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
    check(cross_entropy, leaf(3, 21), labels_of(3, 21, ignored=[0, 1, 2]), reduction=reduction)


def test_another_ignored_label_and_strides(rows):
    check(cross_entropy, torch.randn(12, 9).t().requires_grad_(), labels_of(9, 12), ignore_index=3)
    check(cross_entropy, torch.randn(6, 40)[:, ::2].requires_grad_(), torch.arange(12)[::2], reduction="none")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_rows_within_a_larger_memory(dtype, rows):
    """Rows of any distance, at any place: neither what lies around them nor between them is read or written."""
    memory = torch.full((9 * 40 + 5,), NAN, dtype=dtype)
    for begin, stride, n in [(0, 37, 37), (3, 37, 37), (1, 40, 35), (0, 40, 33), (5, 40, 40), (2, 39, 17)]:
        logits = memory[begin:].as_strided((9, n), (stride, 1))
        logits.copy_(3 * torch.randn(9, n))
        check(cross_entropy, logits.detach().requires_grad_(), labels_of(9, n, ignored=[4]))
        memory.fill_(NAN)


def test_one_row_for_all(rows):
    check(cross_entropy, torch.randn(21).expand(5, 21).requires_grad_(), labels_of(5, 21), reduction="none")


@pytest.mark.parametrize("stride", [2**30 + 1, 2**30 + 64])
def test_rows_further_apart_than_32_bits_count(stride, rows):
    """Of a memory of which next to nothing is touched."""
    logits = torch.empty(3 * 2**30 + 256, dtype=torch.float16).as_strided((3, 37), (stride, 1))
    logits.copy_(torch.randn(3, 37))
    check(cross_entropy, logits.requires_grad_(), labels_of(3, 37), reduction="none")


def test_extreme_values(rows):
    labels = torch.tensor([0, 1, 0, 1, 1, 1])
    for large, repeats in ((1e4, 1), (1e2, 7)):
        logits = [[large, 0, -large], [-INF, 0, 1], [-INF, -INF, -INF], [NAN, 0, 1], [INF, 0, 1], [0, -INF, 3]]
        check(cross_entropy, torch.tensor(logits).repeat(1, repeats), labels, reduction="none")


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("weighted", [False, True])
def test_logits_far_from_zero_lose_nothing(smoothing, weighted, rows):
    """The spacing of float32 at 1e4 is 1e-3: neither losses nor gradients are off by as much. Rows rise, so that
    maxima grow from part to part.
    """
    generator = torch.Generator().manual_seed(1)
    logits = 1e4 + torch.randn(5, 2 * 4096 + 51, generator=generator) + torch.linspace(0, 8, 2 * 4096 + 51)
    logits[1] *= -1
    labels = torch.tensor([0, 8242, 4100, 17, 8000])
    weight = 0.5 + torch.rand(logits.size(1), generator=generator) if weighted else None
    logits.requires_grad_()
    with interpreted():
        loss = cross_entropy(logits, labels, weight, reduction="none", label_smoothing=smoothing)
        (grad,) = torch.autograd.grad(loss.sum(), logits)
    exact = logits.detach().double().requires_grad_()
    weight = None if weight is None else weight.double()
    options = {"weight": weight, "reduction": "none", "label_smoothing": smoothing}
    wanted = torch.nn.functional.cross_entropy(exact, labels, **options)
    (wanted_grad,) = torch.autograd.grad(wanted.sum(), exact)
    torch.testing.assert_close(loss.double(), wanted, rtol=1e-6, atol=0.0)
    torch.testing.assert_close(grad.double(), wanted_grad, rtol=4e-6, atol=1e-10)


def test_smoothed_losses_of_logits_that_are_masked(rows):
    """-inf in the first part, in all parts but the last, and everywhere."""
    logits = torch.randn(4, 41)
    logits[0, :3], logits[1, :-2], logits[2] = -INF, -INF, -INF
    weight = torch.rand(41)
    for factor in (None, weight):
        check(cross_entropy, logits.clone().requires_grad_(), torch.tensor([5, 40, 1, 0]), factor,
              reduction="none", label_smoothing=0.2)  # fmt: skip


def test_a_label_that_is_no_class_gives_nan(rows):
    logits, labels = leaf(4, 21), torch.tensor([0, 21, -1, 20])
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


@pytest.mark.filterwarnings("ignore::helion_kernels.FallbackWarning")
def test_z_loss_of_what_is_left_to_torch():
    """Of labels that are probabilities, for positions of an image too; and an ignored label that is no class."""
    logits, shares = torch.randn(4, 5, 6), torch.softmax(torch.randn(4, 5, 6), 1)
    squares = torch.logsumexp(logits, 1).square()
    plain = torch.nn.functional.cross_entropy(logits, shares)
    torch.testing.assert_close(cross_entropy(logits, shares, z_loss=0.1), plain + 0.1 * squares.mean())
    plain = torch.nn.functional.cross_entropy(logits[0, :, 0], shares[0, :, 0])
    torch.testing.assert_close(cross_entropy(logits[0, :, 0], shares[0, :, 0], z_loss=0.1), plain + 0.1 * squares[0, 0])
    options = {"ignore_index": 255, "z_loss": 0.1}
    found = cross_entropy(logits[..., 0], torch.tensor([0, 255, 3, 1]), torch.rand(5), **options)
    assert found.isfinite()
    check(cross_entropy, logits[..., 0], torch.tensor([0, 255, 3, 1]), torch.rand(5), **options)
