"""Cross entropy of logits and labels, by itself or fused with the linear layer before it.

For a row x of n logits with label y, smoothing s, class weights w (default 1) and lse = log(sum(exp(x))):
loss = (1 - s) * w[y] * (lse - x[y]) + s / n * sum_c(w[c] * (lse - x[c])) + z * lse^2,
where the last term is the z-loss (Chowdhery et al., "PaLM", 2022). With p = exp(x - lse):
dx[c] = dloss * ((1 - s) * w[y] * (p[c] - (c == y)) + s / n * (sum(w) * p[c] - w[c]) + 2 * z * lse * p[c]).

As `torch.nn.functional.cross_entropy` for class indices, but the loss of bfloat16 and float16 logits is float32. The
forward pass reads the logits once and keeps lse; the backward pass reads and writes them once. `linear_cross_entropy`
works on some rows at a time and never holds all logits (Hsu et al., "Liger kernel", 2024). Deterministic.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

import helion.language as hl

from .frame import Call, kernel, operator, usable
from .frame.rows import as_rows, shaped
from .frame.samples import Shape, randn

SMALL: Shape = (7, 50)
SHAPES: tuple[Shape, ...] = ((8192, 32000), (4096, 50257), (4096, 128256), (2048, 256000), (16384, 8192))

RESIDENT = 32768  # longest row that is held in registers; longer ones are read in parts, still once
CHUNK_ELEMENTS = 2**28  # logits that `linear_cross_entropy` holds at a time: 512 MiB of bfloat16


def _loss(
    lse: torch.Tensor, chosen: torch.Tensor, weight: torch.Tensor | float, linear: torch.Tensor | float,
    smoothing: float, z_loss: float,
) -> torch.Tensor:  # fmt: skip
    """linear: sum_c(w[c] * (lse - x[c])) / n."""
    return (1 - smoothing) * weight * (lse - chosen) + smoothing * linear + z_loss * lse * lse


@kernel("cross_entropy", static_shapes=False)
def losses_resident(
    logits: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor | None, ignored: int, smooth: bool,
    smoothing: float, z_loss: float,
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    """(loss and weight of every row, [2, m]; lse). A label that is no class gives NaN."""
    m, n = logits.size(0), hl.specialize(logits.size(1))
    out = torch.empty([2, m], dtype=torch.float32, device=logits.device)
    lses = torch.empty([m], dtype=torch.float32, device=logits.device)
    for tile in hl.tile(m):
        row = logits[tile, :].to(torch.float32)
        high = torch.amax(row, dim=1)
        lse = high + torch.log(torch.sum(torch.exp(row - high[:, None]), dim=1))
        label = labels[tile]
        inside = (label >= 0) & (label < n)
        safe = torch.where(inside, label, 0)
        chosen = logits[tile.index, safe].to(torch.float32)
        own = hl.full([tile], 1.0, dtype=torch.float32) if weight is None else weight[safe].to(torch.float32)
        linear = hl.zeros([tile], dtype=torch.float32)
        if smooth:
            distance = lse[:, None] - row
            if weight is not None:
                distance = distance * weight[:].to(torch.float32)[None, :]
            linear = torch.sum(distance, dim=1) / n
        loss = torch.where(inside, _loss(lse, chosen, own, linear, smoothing, z_loss), float("nan"))
        skipped = label == ignored
        out[0, tile] = torch.where(skipped, 0.0, loss)
        out[1, tile] = torch.where(skipped, 0.0, own)
        lses[tile] = lse
    return out, lses


@kernel("cross_entropy", static_shapes=False)
def losses_online(
    logits: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor | None, ignored: int, smooth: bool,
    smoothing: float, z_loss: float,
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    """As `losses_resident`, with maximum and sum carried over parts of the row."""
    m, n = logits.size(0), hl.specialize(logits.size(1))
    block = hl.register_block_size(4096, 16384)  # every part costs two sums over the program: let them be few
    out = torch.empty([2, m], dtype=torch.float32, device=logits.device)
    lses = torch.empty([m], dtype=torch.float32, device=logits.device)
    for tile in hl.tile(m):
        high = hl.full([tile], float("-inf"), dtype=torch.float32)
        total = hl.zeros([tile], dtype=torch.float32)
        weighted = hl.zeros([tile], dtype=torch.float32)
        weights = hl.zeros([tile], dtype=torch.float32)
        for part in hl.tile(n, block_size=block):
            row = logits[tile, part].to(torch.float32)
            new_high = torch.maximum(high, torch.amax(row, dim=1))
            shift = torch.where(new_high == float("-inf"), 0.0, new_high)
            total = total * torch.exp(high - shift) + torch.sum(torch.exp(row - shift[:, None]), dim=1)
            high = new_high
            if smooth:
                if weight is None:
                    weighted = weighted + torch.sum(row, dim=1)
                else:
                    factor = weight[part].to(torch.float32)[None, :]
                    weighted = weighted + torch.sum(row * factor, dim=1)
                    weights = weights + torch.sum(factor, dim=1)
        lse = high + torch.log(total)
        label = labels[tile]
        inside = (label >= 0) & (label < n)
        safe = torch.where(inside, label, 0)
        chosen = logits[tile.index, safe].to(torch.float32)
        own = hl.full([tile], 1.0, dtype=torch.float32) if weight is None else weight[safe].to(torch.float32)
        linear = hl.zeros([tile], dtype=torch.float32)
        if smooth:
            linear = lse - weighted / n if weight is None else (lse * weights - weighted) / n
        loss = torch.where(inside, _loss(lse, chosen, own, linear, smoothing, z_loss), float("nan"))
        skipped = label == ignored
        out[0, tile] = torch.where(skipped, 0.0, loss)
        out[1, tile] = torch.where(skipped, 0.0, own)
        lses[tile] = lse
    return out, lses


@kernel("cross_entropy", static_shapes=False)
def losses_backward(
    grad: torch.Tensor, total: torch.Tensor | None, logits: torch.Tensor, labels: torch.Tensor,
    weight: torch.Tensor | None, weight_sum: torch.Tensor | None, lse: torch.Tensor, out: torch.Tensor, ignored: int,
    smooth: bool, smoothing: float, z_loss: float,
) -> None:  # fmt: skip
    """Writes dlogits to `out`, which may be `logits`. grad, total: [m] of any strides; grad / total counts."""
    m, n = logits.size(0), hl.specialize(logits.size(1))
    block = hl.register_block_size(2048, 16384)
    for tile_m, tile_n in hl.tile([m, n], block_size=[None, block]):
        label = labels[tile_m]
        scale = grad[tile_m].to(torch.float32)
        if total is not None:
            scale = scale / total[tile_m]
        inside = (label >= 0) & (label < n)
        own = hl.full([tile_m], 1.0, dtype=torch.float32)
        if weight is not None:
            own = weight[torch.where(inside, label, 0)].to(torch.float32)
        row_lse = lse[tile_m]
        p = torch.exp(logits[tile_m, tile_n].to(torch.float32) - row_lse[:, None])
        hit = tile_n.index[None, :] == label[:, None]
        hard = (1 - smoothing) * own
        of_p = hard + 2 * z_loss * row_lse
        change = p * of_p[:, None] - torch.where(hit, hard[:, None], 0.0)
        if smooth:
            if weight is None or weight_sum is None:
                change = change + smoothing * (p - 1.0 / n)
            else:
                factor = weight[tile_n].to(torch.float32)[None, :]
                change = change + (smoothing / n) * (weight_sum[0] * p - factor)
        scale = torch.where(inside, scale, float("nan"))
        out[tile_m, tile_n] = torch.where((label == ignored)[:, None], 0.0, change * scale[:, None])


# --- operator


def _losses(
    logits: torch.Tensor,
    labels: torch.Tensor,
    weight: torch.Tensor | None,
    ignored: int,
    smoothing: float,
    z_loss: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    kernel_of_row = losses_resident if logits.size(1) <= RESIDENT else losses_online
    return kernel_of_row(logits, labels, weight, ignored, smoothing > 0, smoothing, z_loss)


def _write_gradient(
    out: torch.Tensor, grad: torch.Tensor, total: torch.Tensor | None, logits: torch.Tensor, labels: torch.Tensor,
    weight: torch.Tensor | None, lse: torch.Tensor, ignored: int, smoothing: float, z_loss: float,
) -> None:  # fmt: skip
    """grad, total: scalars, or one value for each row."""
    m = logits.size(0)
    weight_sum = weight.float().sum().view(1) if weight is not None and smoothing > 0 else None
    rows = None if total is None else total.expand(m)
    losses_backward(
        grad.expand(m), rows, logits, labels, weight, weight_sum, lse, out, ignored, smoothing > 0, smoothing, z_loss
    )


def _forward(
    logits: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor | None, ignored: int, smoothing: float,
    z_loss: float, reduction: str,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:  # fmt: skip
    if logits.numel() == 0:
        loss, lse, total = _fake(logits, labels, weight, ignored, smoothing, z_loss, reduction)
        return loss.fill_(float("nan") if reduction == "mean" else 0.0), lse, total.zero_()
    rows, lse = _losses(logits, labels, weight, ignored, smoothing, z_loss)
    if reduction == "none":
        return rows[0].clone(), lse, lse.new_empty(())
    loss, total = rows.sum(1).unbind()
    return loss / total if reduction == "mean" else loss.clone(), lse, total.clone()


def _fake(
    logits: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor | None, ignored: int, smoothing: float,
    z_loss: float, reduction: str,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:  # fmt: skip
    lse = torch.empty([logits.size(0)], dtype=torch.float32, device=logits.device)
    return torch.empty_like(lse) if reduction == "none" else lse.new_empty(()), lse, lse.new_empty(())


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


def _backward(
    grad: torch.Tensor, total: torch.Tensor | None, logits: torch.Tensor, labels: torch.Tensor,
    weight: torch.Tensor | None, lse: torch.Tensor, ignored: int, smoothing: float, z_loss: float,
) -> torch.Tensor:  # fmt: skip
    out = torch.empty(logits.size(), dtype=logits.dtype, device=logits.device)
    if out.numel():
        _write_gradient(out, grad, total, logits, labels, weight, lse, ignored, smoothing, z_loss)
    return out


def _fake_backward(
    grad: torch.Tensor, total: torch.Tensor | None, logits: torch.Tensor, labels: torch.Tensor,
    weight: torch.Tensor | None, lse: torch.Tensor, ignored: int, smoothing: float, z_loss: float,
) -> torch.Tensor:  # fmt: skip
    return torch.empty(logits.size(), dtype=logits.dtype, device=logits.device)


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


# --- operator, fused with a linear layer


def _fused(
    x: torch.Tensor, matrix: torch.Tensor, bias: torch.Tensor | None, labels: torch.Tensor, ignored: int,
    smoothing: float, z_loss: float, mean: bool, rows: int, gradients: bool,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:  # fmt: skip
    """The loss, and its gradients for x, matrix and bias, which are empty unless wanted."""
    m = x.size(0)
    loss = torch.zeros((), dtype=torch.float32, device=x.device)
    count = (labels != ignored).sum().to(torch.float32) if mean else torch.ones_like(loss)
    dx, dmatrix, dbias = _fused_gradients(x, matrix, bias, gradients)
    sums = [dmatrix, dbias]  # a single part is as exact as its product; many are summed, so in float32
    if rows < m:
        sums = [torch.zeros(t.size(), dtype=torch.float32, device=t.device) for t in sums]
    for start in range(0, m, rows):
        part, label = x[start : start + rows], labels[start : start + rows]
        logits = torch.nn.functional.linear(part, matrix, bias)
        values, lse = _losses(logits, label, None, ignored, smoothing, z_loss)
        loss += values[0].sum()
        if gradients:
            one = torch.ones_like(count)
            _write_gradient(logits, one, count, logits, label, None, lse, ignored, smoothing, z_loss)
            torch.mm(logits, matrix, out=dx[start : start + rows])
            if rows >= m:
                torch.mm(logits.t(), part, out=dmatrix)
                if bias is not None:
                    torch.sum(logits, 0, out=dbias)
            else:
                sums[0] += logits.t() @ part
                if bias is not None:
                    sums[1] += logits.sum(0, dtype=torch.float32)
    if rows < m:
        dmatrix.copy_(sums[0])
        dbias.copy_(sums[1])
    return loss / count, dx, dmatrix, dbias


def _fused_gradients(
    x: torch.Tensor, matrix: torch.Tensor, bias: torch.Tensor | None, gradients: bool
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Memory for gradients of the three: empty where there is no such tensor, or none is wanted."""
    sizes = (t.size() if gradients and t is not None else (0,) for t in (x, matrix, bias))
    dx, dmatrix, dbias = (torch.empty(size, dtype=x.dtype, device=x.device) for size in sizes)
    return dx, dmatrix, dbias


def _fake_fused(
    x: torch.Tensor, matrix: torch.Tensor, bias: torch.Tensor | None, labels: torch.Tensor, ignored: int,
    smoothing: float, z_loss: float, mean: bool, rows: int, gradients: bool,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:  # fmt: skip
    return x.new_empty((), dtype=torch.float32), *_fused_gradients(x, matrix, bias, gradients)


def _save_fused(ctx: Any, inputs: tuple[Any, ...], output: tuple[torch.Tensor, ...]) -> None:
    ctx.with_bias = inputs[2] is not None
    _, *gradients = output
    ctx.save_for_backward(*gradients)
    ctx.mark_non_differentiable(*gradients)


def _gradients_fused(ctx: Any, grad: torch.Tensor | None, *_: Any) -> tuple[torch.Tensor | None, ...]:
    if grad is None:
        return (None,) * 10
    dx, dmatrix, dbias = (t * grad.to(t.dtype) for t in ctx.saved_tensors)
    return dx, dmatrix, dbias if ctx.with_bias else None, *(None,) * 7


fused_op = operator(
    f"linear_cross_entropy(Tensor x, Tensor matrix, Tensor? bias, Tensor labels, {_SETTINGS}, bool mean, int rows, "
    "bool gradients) -> (Tensor, Tensor, Tensor, Tensor)",
    _fused, _fake_fused, _gradients_fused, _save_fused,
)  # fmt: skip


# --- functions


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
        return _by_torch(logits, labels, weight, ignore_index, reduction, label_smoothing, z_loss)
    return cross_entropy_op(logits, labels, weight, ignore_index, label_smoothing, z_loss, reduction)[0]


def linear_cross_entropy(
    x: torch.Tensor, matrix: torch.Tensor, labels: torch.Tensor, bias: torch.Tensor | None = None, *,
    ignore_index: int = -100, reduction: str = "mean", label_smoothing: float = 0.0, z_loss: float = 0.0,
    chunk_rows: int | None = None,
) -> torch.Tensor:  # fmt: skip
    """Cross entropy of the logits x @ matrix.T + bias, of which only some rows exist at a time.

    x: [..., k]; matrix: [n, k], as `torch.nn.Linear` has it; bias: [n]; labels: of the shape of `x` without k, int64.
    reduction: `mean` or `sum`. chunk_rows: how many rows of logits are held (default: 2^28 logits). Gradients are
    computed in the forward pass where an argument requires them. Raises ValueError for another reduction.
    """
    if reduction not in ("mean", "sum"):
        raise ValueError(f"linear_cross_entropy: reduction={reduction!r} is not allowed; allowed: 'mean', 'sum'")
    fits = (
        matrix.dim() == 2
        and x.shape[-1] == matrix.shape[1]
        and labels.shape == x.shape[:-1]
        and labels.dtype is torch.int64
        and (bias is None or (bias.shape == matrix.shape[:1] and bias.dtype is x.dtype))
        and x.dtype is matrix.dtype
        and labels.device == x.device
        and 0.0 <= label_smoothing <= 1.0
        and x.numel() > 0
    )
    if not fits or not usable("linear_cross_entropy", x, matrix, bias):
        logits = torch.nn.functional.linear(x, matrix, bias).flatten(0, -2)
        return _by_torch(logits, labels.flatten(), None, ignore_index, reduction, label_smoothing, z_loss)
    rows = chunk_rows if chunk_rows is not None else max(1, CHUNK_ELEMENTS // max(1, matrix.size(0)))
    wanted = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (x, matrix, bias))
    flat, label = as_rows(x, x.size(-1)), shaped(labels, (labels.numel(),))
    settings = ignore_index, label_smoothing, z_loss
    return fused_op(flat, matrix, bias, label, *settings, reduction == "mean", rows, wanted)[0]


def _by_torch(
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
    extra = z_loss * torch.logsumexp(logits, 1).square()
    if labels.is_floating_point():
        total = torch.tensor(float(labels.size(0)))
    else:
        counted = labels != ignored
        extra = torch.where(counted, extra, 0.0)
        total = (counted if weight is None else torch.where(counted, weight[labels.clamp(min=0)], 0.0)).sum()
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
