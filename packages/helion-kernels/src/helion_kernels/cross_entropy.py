"""Cross entropy of logits and labels.

For a row x of n logits with label y, smoothing s, class weights w (default 1) and lse = log(sum(exp(x))):
loss = (1 - s) * w[y] * (lse - x[y]) + s / n * sum_c(w[c] * (lse - x[c])) + z * lse^2,
where the last term is the z-loss (Chowdhery et al., "PaLM", 2022). With p = exp(x - lse):
dx[c] = dloss * ((1 - s) * w[y] * (p[c] - (c == y)) + s / n * (sum(w) * p[c] - w[c]) + 2 * z * lse * p[c]).

As `torch.nn.functional.cross_entropy` for class indices, but the loss of bfloat16 and float16 logits is float32. The
forward pass reads the logits once and keeps lse as two numbers, maximum and logarithm; the backward pass reads and
writes the logits once. Deterministic.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from .frame import Call, operator, usable
from .frame.samples import Shape, randn
from .losses.backward import write_gradient
from .losses.forward import row_losses
from .losses.padded import padded, row_stride

SMALL: Shape = (7, 50)
SHAPES: tuple[Shape, ...] = ((8192, 32000), (4096, 50257), (4096, 128256), (2048, 256000), (16384, 8192))


# --- operator


def _forward(
    logits: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor | None, ignored: int, smoothing: float,
    z_loss: float, reduction: str,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:  # fmt: skip
    if logits.numel() == 0:
        loss, lse, total = _fake(logits, labels, weight, ignored, smoothing, z_loss, reduction)
        return loss.fill_(float("nan") if reduction == "mean" else 0.0), lse, total.zero_()
    rows, lse = row_losses(logits, labels, weight, ignored, smoothing, z_loss)
    if reduction == "none":
        return rows[0].clone(), lse, lse.new_empty(())
    loss, total = rows.sum(1).unbind()
    return loss / total if reduction == "mean" else loss.clone(), lse, total.clone()


def _fake(
    logits: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor | None, ignored: int, smoothing: float,
    z_loss: float, reduction: str,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:  # fmt: skip
    lse = torch.empty([2, logits.size(0)], dtype=torch.float32, device=logits.device)
    return lse.new_empty(logits.size(0) if reduction == "none" else ()), lse, lse.new_empty(())


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[torch.Tensor, ...]) -> None:
    logits, labels, weight, ctx.ignored, ctx.smoothing, ctx.z_loss, ctx.reduction = inputs
    _, lse, total = output
    ctx.save_for_backward(logits, labels, weight, lse, total)
    ctx.mark_non_differentiable(lse, total)


def _gradients(ctx: Any, grad: torch.Tensor | None, *_: Any) -> tuple[torch.Tensor | None, ...]:
    if grad is None:
        return (None,) * 7
    logits, labels, weight, lse, total = ctx.saved_tensors
    settings = ctx.ignored, ctx.smoothing, ctx.z_loss
    divisor = total if ctx.reduction == "mean" else None
    return cross_entropy_backward_op(grad, divisor, logits, labels, weight, lse, *settings), *(None,) * 6


def _gradient_of(logits: torch.Tensor) -> torch.Tensor:
    """Memory for dlogits: contiguous, unless the rows of the logits are padded."""
    if logits.stride() == (row_stride(logits.size(1)), 1):
        return padded(logits.size(0), logits.size(1), logits)
    return torch.empty(logits.size(), dtype=logits.dtype, device=logits.device)


def _backward(
    grad: torch.Tensor, total: torch.Tensor | None, logits: torch.Tensor, labels: torch.Tensor,
    weight: torch.Tensor | None, lse: torch.Tensor, ignored: int, smoothing: float, z_loss: float,
) -> torch.Tensor:  # fmt: skip
    out = _gradient_of(logits)
    if out.numel():
        write_gradient(out, grad, total, logits, labels, weight, lse, ignored, smoothing, z_loss)
    return out


def _fake_backward(
    grad: torch.Tensor, total: torch.Tensor | None, logits: torch.Tensor, labels: torch.Tensor,
    weight: torch.Tensor | None, lse: torch.Tensor, ignored: int, smoothing: float, z_loss: float,
) -> torch.Tensor:  # fmt: skip
    return _gradient_of(logits)


_SETTINGS = "int ignored, float smoothing, float z_loss"
cross_entropy_op = operator(
    f"cross_entropy(Tensor logits, Tensor labels, Tensor? weight, {_SETTINGS}, str reduction)"
    " -> (Tensor, Tensor, Tensor)",
    _forward, _fake, _gradients, _save,
)  # fmt: skip
cross_entropy_backward_op = operator(
    "cross_entropy_backward(Tensor grad, Tensor? total, Tensor logits, Tensor labels, Tensor? weight, Tensor lse, "
    f"{_SETTINGS}) -> Tensor",
    _backward, _fake_backward,
)  # fmt: skip


# --- function


def cross_entropy(
    logits: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor | None = None, *, ignore_index: int = -100,
    reduction: str = "mean", label_smoothing: float = 0.0, z_loss: float = 0.0,
) -> torch.Tensor:  # fmt: skip
    """Cross entropy of logits [m, n] (or [n]) and labels [m] int64, as `torch.nn.functional.cross_entropy`.

    weight: of the classes, [n]. z_loss: coefficient of the squared logsumexp. The loss is float32 for logits of
    float32, bfloat16 and float16; on a GPU it is NaN for rows whose label is neither a class nor `ignore_index`.
    Labels that are probabilities, and logits of more dimensions, are left to torch.
    """
    if logits.dim() == 1 and labels.dim() == 0:
        loss = cross_entropy(
            logits[None], labels[None], weight, ignore_index=ignore_index, reduction=reduction,
            label_smoothing=label_smoothing, z_loss=z_loss,
        )  # fmt: skip
        return loss.squeeze(0) if reduction == "none" else loss
    fits = (
        logits.dim() == 2
        and labels.shape == logits.shape[:1]
        and labels.dtype is torch.int64
        and labels.device == logits.device
        and (weight is None or (weight.shape == logits.shape[1:] and not weight.requires_grad))
        and reduction in ("mean", "sum", "none")
        and 0.0 <= label_smoothing <= 1.0
    )
    if not fits or not usable("cross_entropy", logits, weight):
        return by_torch(logits, labels, weight, ignore_index, reduction, label_smoothing, z_loss)
    return cross_entropy_op(logits, labels, weight, ignore_index, label_smoothing, z_loss, reduction)[0]


def by_torch(
    logits: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor | None, ignored: int, reduction: str,
    smoothing: float, z_loss: float,
) -> torch.Tensor:  # fmt: skip
    if logits.dtype in (torch.bfloat16, torch.float16):
        logits, weight = logits.float(), None if weight is None else weight.float()
    loss = torch.nn.functional.cross_entropy(
        logits, labels, weight, ignore_index=ignored, reduction=reduction, label_smoothing=smoothing
    )
    if z_loss == 0.0:
        return loss
    extra = z_loss * torch.logsumexp(logits, min(1, logits.dim() - 1)).square()
    total: Any = extra.numel()  # of labels that are probabilities, none is ignored, and weights do not count
    if not labels.is_floating_point():
        counted = labels != ignored
        extra = torch.where(counted, extra, 0.0)
        total = torch.where(counted, 1.0 if weight is None else weight[torch.where(counted, labels, 0)], 0.0).sum()
    if reduction == "none":
        return loss + extra
    return loss + extra.sum() / (total if reduction == "mean" else 1)


# --- samples


def calls(shape: Shape, dtype: torch.dtype, device: torch.device) -> Iterator[Call]:
    """shape: rows, classes."""
    m, n = shape
    labels = torch.randint(n, (m,), device=device)
    yield Call("plain", cross_entropy, (randn(shape, dtype, device), labels))
    yield Call("smoothed, z-loss", cross_entropy, (randn(shape, dtype, device), labels), {
        "label_smoothing": 0.1, "z_loss": 1e-4,
    })  # fmt: skip
