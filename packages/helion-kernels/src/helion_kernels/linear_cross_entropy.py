"""Cross entropy of the logits of a linear layer: all of them at once where they are few, else some rows at a time.

The formulas are those of `cross_entropy`. All at once, a product is followed by `cross_entropy`; in chunks, gradients
are computed on the way forward (Hsu et al., "Liger kernel", 2024). Products are cuBLAS's. Deterministic.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from .cross_entropy import by_torch, cross_entropy_op
from .frame import Call, operator, usable
from .frame.rows import as_rows, shaped
from .frame.samples import Shape, randn
from .losses.backward import write_gradient
from .losses.forward import row_losses
from .losses.padded import (
    add_gradient_of_matrix,
    padded,
    write_gradient_of_matrix,
    write_gradient_of_rows,
    write_logits,
)

SMALL: Shape = (7, 24, 50)
SHAPES: tuple[Shape, ...] = (
    (4096, 4096, 32000), (8192, 2048, 50257), (2048, 4096, 128256), (4096, 3584, 152064), (1024, 8192, 128256),
)  # fmt: skip

CHUNK_ELEMENTS = 2**28  # logits that are held at a time: 512 MiB of bfloat16
CHUNK_ROWS = 128  # tiles of products have as many: chunks of about equal size are multiples of these


# --- operators: logits of a linear layer, and its gradients


def _linear(x: torch.Tensor, matrix: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    return write_logits(_fake_linear(x, matrix, bias), x, matrix, bias)


def _fake_linear(x: torch.Tensor, matrix: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    return padded(x.size(0), matrix.size(0), x)


def _save_linear(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    x, matrix, _ = inputs
    ctx.save_for_backward(x, matrix)


def _gradients_linear(ctx: Any, grad: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
    if grad is None:
        return (None,) * 3
    x, matrix = ctx.saved_tensors
    of_x, of_matrix, of_bias = ctx.needs_input_grad
    return (
        padded_linear_rows_backward_op(grad, matrix) if of_x else None,
        padded_linear_matrix_backward_op(grad, x) if of_matrix else None,
        grad.sum(0) if of_bias else None,
    )


def _gradient_of_rows(grad: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    return write_gradient_of_rows(_fake_gradient_of_rows(grad, matrix), grad, matrix)


def _fake_gradient_of_rows(grad: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    return matrix.new_empty(grad.size(0), matrix.size(1))


def _gradient_of_matrix(grad: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return write_gradient_of_matrix(_fake_gradient_of_matrix(grad, x), grad, x)


def _fake_gradient_of_matrix(grad: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return x.new_empty(grad.size(1), x.size(1))


padded_linear_op = operator(
    "padded_linear(Tensor x, Tensor matrix, Tensor? bias) -> Tensor",
    _linear, _fake_linear, _gradients_linear, _save_linear,
)  # fmt: skip
padded_linear_rows_backward_op = operator(
    "padded_linear_rows_backward(Tensor grad, Tensor matrix) -> Tensor", _gradient_of_rows, _fake_gradient_of_rows
)
padded_linear_matrix_backward_op = operator(
    "padded_linear_matrix_backward(Tensor grad, Tensor x) -> Tensor", _gradient_of_matrix, _fake_gradient_of_matrix
)


# --- operators: loss and gradients in chunks


def _chunks(
    x: torch.Tensor, matrix: torch.Tensor, bias: torch.Tensor | None, labels: torch.Tensor, ignored: int,
    smoothing: float, z_loss: float, mean: bool, rows: int, of_x: bool, of_matrix: bool, of_bias: bool,
) -> tuple[torch.Tensor, ...]:  # fmt: skip
    """The loss, what the sum over rows was divided by, and the gradients of that sum for x, matrix and bias, which are
    empty unless wanted. There is a row.
    """
    m = x.size(0)
    loss = torch.zeros((), dtype=torch.float32, device=x.device)
    one = torch.ones_like(loss)
    count = (labels != ignored).sum().to(torch.float32) if mean else one.clone()
    dx, dmatrix, dbias = _memory(x, matrix, bias, of_x, of_matrix, of_bias)
    sum_matrix = dmatrix if dmatrix.dtype is torch.float32 else torch.empty_like(dmatrix, dtype=torch.float32)
    sum_bias = torch.zeros_like(dbias, dtype=torch.float32)
    held = padded(min(rows, m), matrix.size(0), x)
    for start in range(0, m, rows):
        part, label = x[start : start + rows], labels[start : start + rows]
        logits = write_logits(held[: part.size(0)], part, matrix, bias)
        values, lse = row_losses(logits, label, None, ignored, smoothing, z_loss)
        loss += values[0].sum()
        if of_x or of_matrix or of_bias:
            write_gradient(logits, one, None, logits, label, None, lse, ignored, smoothing, z_loss)
        if of_x:
            write_gradient_of_rows(dx[start : start + rows], logits, matrix)
        if of_matrix:
            add_gradient_of_matrix(sum_matrix, logits, part, first=start == 0)
        if of_bias:
            sum_bias += logits.sum(0, dtype=torch.float32)
    dmatrix.copy_(sum_matrix)
    dbias.copy_(sum_bias)
    return loss / count, count, dx, dmatrix, dbias


def _memory(
    x: torch.Tensor, matrix: torch.Tensor, bias: torch.Tensor | None, *wanted: bool
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """For gradients of the three: empty where none is wanted; float32 where float16 might not hold a sum over rows."""
    of_sums = torch.float32 if x.dtype is torch.float16 else x.dtype
    given = zip((x, matrix, bias), (x.dtype, of_sums, of_sums), wanted, strict=True)
    dx, dmatrix, dbias = (x.new_empty(t.size() if of_it and t is not None else 0, dtype=d) for t, d, of_it in given)
    return dx, dmatrix, dbias


def _fake_chunks(
    x: torch.Tensor, matrix: torch.Tensor, bias: torch.Tensor | None, labels: torch.Tensor, ignored: int,
    smoothing: float, z_loss: float, mean: bool, rows: int, of_x: bool, of_matrix: bool, of_bias: bool,
) -> tuple[torch.Tensor, ...]:  # fmt: skip
    loss = x.new_empty((), dtype=torch.float32)
    return loss, torch.empty_like(loss), *_memory(x, matrix, bias, of_x, of_matrix, of_bias)


def _save_chunks(ctx: Any, inputs: tuple[Any, ...], output: tuple[torch.Tensor, ...]) -> None:
    x, matrix, bias, *_ = inputs
    ctx.wanted = inputs[-3:]
    ctx.save_for_backward(x, matrix, bias, *output[1:])
    ctx.mark_non_differentiable(*output[1:])


def _gradients_chunks(ctx: Any, grad: torch.Tensor | None, *_: Any) -> tuple[torch.Tensor | None, ...]:
    if grad is None:
        return (None,) * 12
    x, matrix, bias, count, *gradients = ctx.saved_tensors
    found = chunks_backward_op(grad / count.clamp(min=1), x, matrix, bias, *gradients)
    return *(t if of_it else None for t, of_it in zip(found, ctx.wanted, strict=True)), *(None,) * 9


def _scaled(
    grad: torch.Tensor, x: torch.Tensor, matrix: torch.Tensor, bias: torch.Tensor | None, *gradients: torch.Tensor
) -> tuple[torch.Tensor, ...]:
    outs = _fake_scaled(grad, x, matrix, bias, *gradients)
    return tuple(torch.mul(t, grad, out=out) for t, out in zip(gradients, outs, strict=True))


def _fake_scaled(
    grad: torch.Tensor, x: torch.Tensor, matrix: torch.Tensor, bias: torch.Tensor | None, *gradients: torch.Tensor
) -> tuple[torch.Tensor, ...]:
    return tuple(torch.empty_like(t, dtype=x.dtype) for t in gradients)


chunks_op = operator(
    "linear_cross_entropy(Tensor x, Tensor matrix, Tensor? bias, Tensor labels, int ignored, float smoothing, "
    "float z_loss, bool mean, int rows, bool of_x, bool of_matrix, bool of_bias) "
    "-> (Tensor, Tensor, Tensor, Tensor, Tensor)",
    _chunks, _fake_chunks, _gradients_chunks, _save_chunks,
)  # fmt: skip
chunks_backward_op = operator(  # x, matrix and bias are what its second derivatives, which it refuses, would be for
    "linear_cross_entropy_backward(Tensor grad, Tensor x, Tensor matrix, Tensor? bias, Tensor dx, Tensor dmatrix, "
    "Tensor dbias) -> (Tensor, Tensor, Tensor)",
    _scaled, _fake_scaled,
)  # fmt: skip


# --- function


def linear_cross_entropy(
    x: torch.Tensor, matrix: torch.Tensor, labels: torch.Tensor, bias: torch.Tensor | None = None, *,
    ignore_index: int = -100, reduction: str = "mean", label_smoothing: float = 0.0, z_loss: float = 0.0,
    chunk_rows: int | None = None,
) -> torch.Tensor:  # fmt: skip
    """Cross entropy of the logits x @ matrix.T + bias, of which only some rows exist at a time where they are many.

    x: [..., k]; matrix: [n, k], as `torch.nn.Linear` has it; bias: [n]; labels: of the shape of `x` without k, int64.
    reduction: `mean` or `sum`. chunk_rows: how many rows of logits are held (default: 2^28 logits; but all of them
    where chunks would hardly save memory). Where that is not all, gradients are computed in the forward pass, if an
    argument requires them. Raises ValueError for another reduction, or less than one row.
    """
    if reduction not in ("mean", "sum"):
        raise ValueError(f"linear_cross_entropy: reduction={reduction!r} is not allowed; allowed: 'mean', 'sum'")
    if chunk_rows is not None and chunk_rows < 1:
        raise ValueError(f"linear_cross_entropy: chunk_rows={chunk_rows} is not allowed; it must be at least 1")
    fits = (
        matrix.dim() == 2
        and x.dim() > 0
        and x.shape[-1] == matrix.shape[1]
        and labels.shape == x.shape[:-1]
        and labels.dtype is torch.int64
        and (bias is None or (bias.shape == matrix.shape[:1] and bias.dtype is x.dtype))
        and x.dtype is matrix.dtype
        and labels.device == x.device
        and 0.0 <= label_smoothing <= 1.0
        and 0 not in (x.numel(), matrix.numel())
    )
    if not fits or not usable("linear_cross_entropy", x, matrix, bias):
        logits = torch.nn.functional.linear(x, matrix, bias)
        logits = logits.reshape(-1, logits.size(-1))
        return by_torch(logits, labels.flatten(), None, ignore_index, reduction, label_smoothing, z_loss)
    flat, label = as_rows(x, x.size(-1)), shaped(labels, (labels.numel(),))
    wanted = [torch.is_grad_enabled() and t is not None and t.requires_grad for t in (x, matrix, bias)]
    rows = chunk_rows if chunk_rows is not None else _rows_held(flat, matrix, wanted[1])
    settings = ignore_index, label_smoothing, z_loss
    if flat.size(0) <= rows:
        return cross_entropy_op(padded_linear_op(flat, matrix, bias), label, None, *settings, reduction)[0]
    return chunks_op(flat, matrix, bias, label, *settings, reduction == "mean", rows, *wanted)[0]


def _rows_held(x: torch.Tensor, matrix: torch.Tensor, of_matrix: bool) -> int:
    """All rows, unless chunks save more memory than one takes; then some, about as many in every chunk.

    of_matrix: whether its gradient is wanted. Chunks of bfloat16 take 6 bytes for each element of the matrix, whose
    gradient exists in float32 as well; all logits and their gradient, which come and go before that of the matrix, take
    4 bytes each.
    """
    m, n = x.size(0), max(1, matrix.size(0))
    sums = matrix.numel() * 3 // 2 if of_matrix and x.dtype is not torch.float32 else 0
    if m * n <= CHUNK_ELEMENTS + sums:
        return m
    most = max(1, CHUNK_ELEMENTS // n)
    equal = -(-m // -(-m // most))
    return min(most, -(-equal // CHUNK_ROWS) * CHUNK_ROWS)


# --- samples


def calls(shape: Shape, dtype: torch.dtype, device: torch.device) -> Iterator[Call]:
    """shape: rows, features, classes."""
    m, k, n = shape
    labels = torch.randint(n, (m,), device=device)
    for name, rows in (("whole", m), ("chunks", -(-m // 2))):
        x, matrix = randn((m, k), dtype, device), randn((n, k), dtype, device)
        yield Call(name, linear_cross_entropy, (x, matrix, labels), {"chunk_rows": rows})
