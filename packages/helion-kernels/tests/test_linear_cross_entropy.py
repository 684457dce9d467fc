"""Cross entropy of the logits of a linear layer, whole and in chunks, against float64."""

from __future__ import annotations

import functools
import itertools

import pytest
import torch

from helion_kernels import linear_cross_entropy
from helion_kernels.frame import vectors
from helion_kernels.frame.samples import module_of
from helion_kernels.losses import backward
from helion_kernels.testing import assert_close, check

MODULE = module_of("linear_cross_entropy")
OPCHECKS = ("test_schema", "test_autograd_registration", "test_faketensor")


def leaf(*size, dtype=torch.float32, scale=3.0):
    return (scale * torch.randn(size)).to(dtype).requires_grad_()


def labels_of(m, n, ignored=()):
    labels = torch.randint(0, n, (m,))
    labels[list(ignored)] = -100
    return labels


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("chunk_rows", [None, 4, 1])
def test_fused(dtype, bias, chunk_rows):
    x, matrix = leaf(9, 24, dtype=dtype, scale=1.0), leaf(30, 24, dtype=dtype, scale=0.3)
    check(
        linear_cross_entropy, x, matrix, labels_of(9, 30, ignored=[4]), leaf(30, dtype=dtype) if bias else None,
        chunk_rows=chunk_rows,
    )  # fmt: skip


@pytest.mark.parametrize("chunk_rows", [None, 3])
def test_logits_far_from_zero_lose_nothing(chunk_rows):
    """Products of small whole numbers and a bias of 1e4 are exact in float32, whose spacing is 1e-3 there."""
    x, matrix = (torch.randint(-1, 2, size).float().requires_grad_() for size in ((8, 4), (30, 4)))
    check(
        linear_cross_entropy, x, matrix, labels_of(8, 30), torch.full((30,), 1e4), chunk_rows=chunk_rows,
        label_smoothing=0.1, tolerance=3e-6,
    )  # fmt: skip


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_fused_options(reduction):
    x, matrix = leaf(3, 5, 16, scale=1.0), leaf(20, 16, scale=0.5)
    labels = torch.randint(0, 20, (3, 5))
    options = {"label_smoothing": 0.1, "z_loss": 0.01, "reduction": reduction, "chunk_rows": 4}
    for chunk_rows in (4, 15):
        options["chunk_rows"] = chunk_rows
        check(linear_cross_entropy, x, matrix, labels, **options)
        check(linear_cross_entropy, x, matrix.detach(), labels, **options)
        check(linear_cross_entropy, x.detach(), matrix, labels, **options)
        check(linear_cross_entropy, x.detach(), matrix.detach(), labels, **options)


def test_fused_mistakes():
    with pytest.raises(ValueError, match="chunk_rows=0"):
        linear_cross_entropy(torch.randn(3, 4), torch.randn(5, 4), torch.zeros(3, dtype=torch.int64), chunk_rows=0)
    with pytest.raises(ValueError, match="reduction='none'"):
        linear_cross_entropy(torch.randn(3, 4), torch.randn(5, 4), torch.zeros(3, dtype=torch.int64), reduction="none")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("classes", [1, 63, 64, 65])
@pytest.mark.parametrize("chunk_rows", [None, 3])
def test_rows_of_logits_start_at_multiples_of_64(dtype, classes, chunk_rows, monkeypatch):
    """Those of the gradient, too, which products read."""
    strides, write = [], backward.write_gradient

    def watched(out, grad, total, logits, *rest):
        strides.extend([out.stride(), logits.stride()])
        write(out, grad, total, logits, *rest)

    for module in (MODULE, module_of("cross_entropy")):
        monkeypatch.setattr(module, "write_gradient", watched)
    x, matrix, bias = (leaf(*size, dtype=dtype, scale=0.3) for size in ((7, 24), (classes, 24), (classes,)))
    check(linear_cross_entropy, x, matrix, labels_of(7, classes), bias, chunk_rows=chunk_rows)
    assert set(strides) == {(128 if classes > 64 else 64, 1)}
    assert len(strides) == (2 if chunk_rows is None else 6)


@pytest.mark.parametrize("chunk_rows", [9, 4])
def test_gradients_twice(chunk_rows, interpret):
    """A second backward pass finds what the first one did."""
    x, matrix, bias = leaf(9, 8), leaf(21, 8), leaf(21)
    loss = linear_cross_entropy(x, matrix, labels_of(9, 21), bias, chunk_rows=chunk_rows)
    first, second = (torch.autograd.grad(loss, [x, matrix, bias], retain_graph=True) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    half = torch.autograd.grad(loss, [x, matrix, bias], torch.tensor(0.5))
    assert_close(half, [t / 2 for t in first], 1e-6)


@pytest.mark.parametrize("chunk_rows", [6, 4])
@pytest.mark.parametrize("classes", [16, 19, 5])
def test_second_derivatives_are_refused(classes, chunk_rows, interpret):
    """First ones are right where a graph of them is asked for, in one part and in two, whole and in chunks."""
    leaves, labels = [leaf(6, 8), leaf(classes, 8), leaf(classes)], labels_of(6, classes)
    x, matrix, bias = leaves
    loss = linear_cross_entropy(x, matrix, labels, bias, chunk_rows=chunk_rows)
    found = torch.autograd.grad(loss, leaves, create_graph=True)
    exact = torch.nn.functional.cross_entropy(x.double() @ matrix.double().t() + bias.double(), labels)
    torch.testing.assert_close(found, torch.autograd.grad(exact, leaves), atol=1e-5, rtol=1e-5)
    for gradient in found:
        for wanted in leaves:
            with pytest.raises(NotImplementedError, match="second derivatives are not supported: call torch's own"):
                torch.autograd.grad(gradient.square().sum(), wanted, retain_graph=True)
    with pytest.raises(NotImplementedError, match="second derivatives"):  # of a penalty beside the loss
        (loss + sum(t.square().sum() for t in found)).backward()


@pytest.mark.parametrize("wanted", itertools.product([False, True], repeat=3))
def test_only_gradients_that_are_wanted_are_computed(wanted, interpret, monkeypatch):
    made, memory = [], MODULE._memory
    monkeypatch.setattr(MODULE, "_memory", lambda *args: made.append(memory(*args)) or made[-1])
    x, matrix, bias = (leaf(*size).requires_grad_(w) for size, w in zip([(6, 8), (19, 8), (19,)], wanted, strict=True))
    check(linear_cross_entropy, x, matrix, labels_of(6, 19), bias, chunk_rows=4)
    assert [t.numel() > 0 for t in made[0]] == list(wanted)
    with torch.no_grad():
        linear_cross_entropy(x, matrix, labels_of(6, 19), bias, chunk_rows=4)
    assert all(t.numel() == 0 for t in made[-1])


def test_other_strides_of_operands():
    x, matrix = torch.randn(24, 9).t().requires_grad_(), torch.randn(24, 70)[:, ::2].t().requires_grad_()
    for chunk_rows in (None, 4):
        check(linear_cross_entropy, x, matrix, torch.arange(18)[::2], chunk_rows=chunk_rows)


ROWS_HELD = {  # rows, features, classes: rows at a time with gradients, in bfloat16 and float32, and without
    (4096, 4096, 32000): (4096, 4096, 4096),
    (2048, 4096, 128256): (2048, 2048, 2048),
    (8192, 2048, 50257): (8192, 4096, 4096),
    (4096, 3584, 152064): (4096, 1408, 1408),
    (32768, 4096, 128256): (2048, 2048, 2048),
    (3, 1, 2**28): (1, 1, 1),
    (5, 1, 0): (5, 5, 5),
}


@pytest.mark.parametrize(("shape", "expected"), ROWS_HELD.items())
def test_rows_held(shape, expected):
    m, k, n = shape
    x, matrix = (torch.empty(size, k, dtype=torch.bfloat16, device="meta") for size in (m, n))
    halves, floats = MODULE._rows_held(x, matrix, True), MODULE._rows_held(x.float(), matrix.float(), True)
    assert (halves, floats, MODULE._rows_held(x, matrix, False)) == expected


def test_what_does_not_fit_is_done_in_chunks(monkeypatch):
    monkeypatch.setattr(MODULE, "CHUNK_ELEMENTS", 100)
    for dtype in (torch.float32, torch.bfloat16):
        check(linear_cross_entropy, leaf(9, 4, dtype=dtype), leaf(30, 4, dtype=dtype), labels_of(9, 30))


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_chunks_on_a_gpu(dtype):
    """Their products are added up in float32, and the logits of all rows never exist."""
    m, k, n = 12000, 256, 5003
    x, matrix, bias = (torch.randn(size, device="cuda").mul(0.3).to(dtype) for size in ((m, k), (n, k), (n,)))
    x, matrix, bias = (t.requires_grad_() for t in (x, matrix, bias))
    labels = torch.randint(n, (m,), device="cuda")
    for rows in (None, 400):
        check(linear_cross_entropy, x, matrix, labels, bias, chunk_rows=rows, reduction="sum")
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    linear_cross_entropy(x, matrix, labels, bias, chunk_rows=400).backward()
    assert torch.cuda.max_memory_allocated() - before < m * n * x.element_size() / 2


@pytest.mark.parametrize("chunk_rows", [None, 4])
def test_fused_is_an_operator_like_others(chunk_rows, interpret):
    x, matrix, labels = leaf(6, 8), leaf(10, 8), labels_of(6, 10)
    function = functools.partial(linear_cross_entropy, chunk_rows=chunk_rows)
    torch._dynamo.reset()
    compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
    found, expected = (torch.autograd.grad(f(x, matrix, labels), [x, matrix]) for f in (compiled, function))
    assert_close(found, expected, 1e-6)


def test_operators(interpret):
    ops = torch.ops.helion_kernels
    x, matrix, labels, settings = leaf(6, 8), leaf(10, 8), labels_of(6, 10), (-100, 0.1, 0.0)
    logits = MODULE.padded_linear_op(x, matrix, None).detach().requires_grad_()
    loss = torch.ones(())
    for op, args in [
        (ops.linear_cross_entropy, (x, matrix, None, labels, *settings, True, 4, True, True, False)),
        (ops.linear_cross_entropy_backward, (loss, *(t.detach() for t in (x, matrix)), None, x.detach(), loss, loss)),
        (ops.padded_linear_rows_backward, (torch.randn(7, 10), matrix.detach())),
        (ops.padded_linear_matrix_backward, (torch.randn(6, 10), x.detach())),
        (ops.padded_linear, (x, matrix, None)),
        (ops.padded_linear, (x, matrix, leaf(10))),
        (ops.cross_entropy, (logits, labels, None, *settings, "mean")),  # of padded rows
        (ops.cross_entropy_backward, (loss, loss, logits.detach(), labels, None, torch.zeros(2, 6), *settings)),
    ]:
        torch.library.opcheck(op.default, args, test_utils=OPCHECKS)


def test_one_graph_serves_many_sizes(interpret):
    torch._dynamo.reset()
    matrix = leaf(70, 8)
    compiled = torch.compile(linear_cross_entropy, fullgraph=True, dynamic=True, backend="aot_eager")
    for rows in (3, 5, 8):
        x, labels = leaf(rows, 8), labels_of(rows, 70)
        with torch._dynamo.config.patch(error_on_recompile=rows > 3):
            found = torch.autograd.grad(compiled(x, matrix, labels), [x, matrix])
        assert_close(found, torch.autograd.grad(linear_cross_entropy(x, matrix, labels), [x, matrix]), 1e-6)


@pytest.mark.filterwarnings("ignore::helion_kernels.FallbackWarning")
def test_a_single_row_without_a_dimension_of_its_own():
    check(linear_cross_entropy, leaf(8), leaf(5, 8), torch.tensor(2), leaf(5))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_chunks_of_rows_in_vectors(dtype, monkeypatch):
    """Gradients take the place of logits."""
    monkeypatch.setattr(vectors, "LONGEST_BY_ELEMENTS", vectors.SHORTEST)
    for chunk_rows in (3, 7):
        x, matrix, bias = (leaf(*size, dtype=dtype, scale=0.5) for size in ((7, 24), (37, 24), (37,)))
        options = {"label_smoothing": 0.1, "z_loss": 0.01, "chunk_rows": chunk_rows}
        check(linear_cross_entropy, x, matrix, labels_of(7, 37, ignored=[5]), bias, **options)


@pytest.mark.parametrize("chunk_rows", [None, 24])
def test_a_scaled_loss_keeps_small_gradients_of_float16(chunk_rows, interpret):
    """Classes of a probability of 3e-5, in a mean over 64 rows: their gradients are less than float16 resolves."""
    x, matrix = leaf(64, 8, dtype=torch.float16, scale=0.1), leaf(20, 8, dtype=torch.float16, scale=0.1)
    bias, labels = torch.full((20,), -10.0, dtype=torch.float16), torch.zeros(64, dtype=torch.int64)
    bias[0] = 0.5
    bias.requires_grad_()
    scale = 2.0**15
    loss = linear_cross_entropy(x, matrix, labels, bias, chunk_rows=chunk_rows) * scale
    exact = [t.detach().double().requires_grad_() for t in (x, matrix, bias)]
    wanted = torch.nn.functional.cross_entropy(exact[0] @ exact[1].t() + exact[2], labels) * scale
    for found, expected in zip(
        torch.autograd.grad(loss, [x, matrix, bias]), torch.autograd.grad(wanted, exact), strict=True
    ):
        assert_close(found, expected, 2e-2)
