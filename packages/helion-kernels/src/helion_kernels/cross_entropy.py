"""Cross entropy of logits and labels, by itself or fused with the linear layer before it.

For a row x of n logits with label y, smoothing s, class weights w (default 1) and lse = log(sum(exp(x))):
loss = (1 - s) * w[y] * (lse - x[y]) + s / n * sum_c(w[c] * (lse - x[c])) + z * lse^2,
where the last term is the z-loss (Chowdhery et al., "PaLM", 2022). With p = exp(x - lse):
dx[c] = dloss * ((1 - s) * w[y] * (p[c] - (c == y)) + s / n * (sum(w) * p[c] - w[c]) + 2 * z * lse * p[c]).

As `torch.nn.functional.cross_entropy` for class indices, but the loss of bfloat16 and float16 logits is float32. The
forward pass reads the logits once and keeps lse; the backward pass reads and writes them once. `linear_cross_entropy`
holds all logits where they are few, and works on some rows at a time otherwise, computing gradients on the way forward
(Hsu et al., "Liger kernel", 2024). Deterministic.
"""

from __future__ import annotations

import functools
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
CHUNK_ROWS = 128  # tiles of products have as many: chunks of about equal size are multiples of these
EVEN_CLASSES = 8  # products of other numbers of classes are made in two parts
ROW_ELEMENTS = 64  # rows of logits start at multiples of these, so that they are aligned for products


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


def _gradient_of(logits: torch.Tensor) -> torch.Tensor:
    """Memory for dlogits: contiguous, unless the logits are those of `padded_linear_op`."""
    if logits.stride() == (_row_stride(logits.size(1)), 1):
        return _padded(logits.size(0), logits.size(1), logits)
    return torch.empty(logits.size(), dtype=logits.dtype, device=logits.device)


def _row_stride(n: int) -> int:
    return -(-n // ROW_ELEMENTS) * ROW_ELEMENTS


def _padded(m: int, n: int, like: torch.Tensor) -> torch.Tensor:
    return torch.empty_strided((m, n), (_row_stride(n), 1), dtype=like.dtype, device=like.device)


def _backward(
    grad: torch.Tensor, total: torch.Tensor | None, logits: torch.Tensor, labels: torch.Tensor,
    weight: torch.Tensor | None, lse: torch.Tensor, ignored: int, smoothing: float, z_loss: float,
) -> torch.Tensor:  # fmt: skip
    out = _gradient_of(logits)
    if out.numel():
        _write_gradient(out, grad, total, logits, labels, weight, lse, ignored, smoothing, z_loss)
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


# --- operator: logits of a linear layer


def _linear(x: torch.Tensor, matrix: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    return _write_logits(_fake_linear(x, matrix, bias), x, matrix, bias)


def _write_logits(out: torch.Tensor, x: torch.Tensor, matrix: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    for part in _parts(matrix.size(0)):
        if bias is None:
            torch.mm(x, matrix[part].t(), out=out[:, part])
        else:
            torch.addmm(bias[part], x, matrix[part].t(), out=out[:, part])
    return out


def _write_gradient_of_rows(out: torch.Tensor, grad: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """grad @ matrix; the few classes first, so that what is rounded between the parts is small."""
    first, *rest = reversed(_parts(matrix.size(0)))
    torch.mm(grad[:, first], matrix[first], out=out)
    for part in rest:
        out.addmm_(grad[:, part], matrix[part])
    return out


def _gradient_of_rows(grad: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    return _write_gradient_of_rows(_fake_gradient_of_rows(grad, matrix), grad, matrix)


def _fake_gradient_of_rows(grad: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    return matrix.new_empty(grad.size(0), matrix.size(1))


def _gradient_of_matrix(grad: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """grad.T @ x."""
    out = _fake_gradient_of_matrix(grad, x)
    for part in _parts(grad.size(1)):
        torch.mm(grad[:, part].t(), x, out=out[part])
    return out


def _fake_gradient_of_matrix(grad: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return x.new_empty(grad.size(1), x.size(1))


def _parts(n: int) -> list[slice]:
    """Classes in multiples of 8, and the rest: cuBLAS takes 2 to 9 times as long for sizes that are none."""
    even = n - n % EVEN_CLASSES
    return [slice(0, n)] if even in (0, n) else [slice(0, even), slice(even, n)]


def _fake_linear(x: torch.Tensor, matrix: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    return _padded(x.size(0), matrix.size(0), x)


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


# --- operator, fused with a linear layer


def _fused(
    x: torch.Tensor, matrix: torch.Tensor, bias: torch.Tensor | None, labels: torch.Tensor, ignored: int,
    smoothing: float, z_loss: float, mean: bool, rows: int, gradients: bool,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:  # fmt: skip
    """The loss, and its gradients for x, matrix and bias, which are empty unless wanted. There is a row."""
    m = x.size(0)
    loss = torch.zeros((), dtype=torch.float32, device=x.device)
    count = (labels != ignored).sum().to(torch.float32) if mean else torch.ones_like(loss)
    one = torch.ones_like(count)
    dx, dmatrix, dbias = _fused_gradients(x, matrix, bias, gradients)
    sum_matrix = dmatrix if x.dtype is torch.float32 else torch.empty_like(dmatrix, dtype=torch.float32)
    sum_bias = torch.zeros_like(dbias, dtype=torch.float32)
    held = _padded(min(rows, m), matrix.size(0), x)
    for start in range(0, m, rows):
        part, label = x[start : start + rows], labels[start : start + rows]
        logits = _write_logits(held[: part.size(0)], part, matrix, bias)
        values, lse = _losses(logits, label, None, ignored, smoothing, z_loss)
        loss += values[0].sum()
        if gradients:
            _write_gradient(logits, one, count, logits, label, None, lse, ignored, smoothing, z_loss)
            _write_gradient_of_rows(dx[start : start + rows], logits, matrix)
            for classes in _parts(matrix.size(0)):
                _add_product(sum_matrix[classes], logits[:, classes].t(), part, first=start == 0)
            if bias is not None:
                sum_bias += logits.sum(0, dtype=torch.float32)
    dmatrix.copy_(sum_matrix)
    dbias.copy_(sum_bias)
    return loss / count, dx, dmatrix, dbias


def _add_product(total: torch.Tensor, a: torch.Tensor, b: torch.Tensor, first: bool) -> None:
    """Adds a @ b to `total`, which is float32, and undefined before the first."""
    beta = 0 if first else 1
    if a.dtype is torch.float32:
        torch.addmm(total, a, b, beta=beta, out=total)
    elif a.is_cuda and _adds_in_place(a.dtype, a.device):
        torch.addmm(total, a, b, out_dtype=torch.float32, beta=beta, out=total)
    elif first:
        total.copy_(a @ b)
    else:
        total += a @ b


@functools.cache
def _adds_in_place(dtype: torch.dtype, device: torch.device) -> bool:
    """Whether torch adds products of this dtype to a float32 matrix in place, which not every build does."""
    a = torch.ones(16, 16, dtype=dtype, device=device)
    total = torch.ones(16, 16, dtype=torch.float32, device=device)
    try:
        torch.addmm(total, a, a, out_dtype=torch.float32, out=total)
    except (RuntimeError, TypeError):
        return False
    return bool((total == 17.0).all())


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
    wanted = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (x, matrix, bias))
    flat, label = as_rows(x, x.size(-1)), shaped(labels, (labels.numel(),))
    rows = chunk_rows if chunk_rows is not None else _rows_held(flat, matrix, wanted)
    settings = ignore_index, label_smoothing, z_loss
    if flat.size(0) <= rows:
        return cross_entropy_op(padded_linear_op(flat, matrix, bias), label, None, *settings, reduction)[0]
    return fused_op(flat, matrix, bias, label, *settings, reduction == "mean", rows, wanted)[0]


def _rows_held(x: torch.Tensor, matrix: torch.Tensor, gradients: bool) -> int:
    """All rows, unless chunks save more memory than one takes; then some, about as many in every chunk.

    Chunks of bfloat16 take 6 bytes for each element of the matrix, whose gradient exists in float32 as well; all logits
    and their gradient, which come and go before that of the matrix, take 4 bytes each.
    """
    m, n = x.size(0), max(1, matrix.size(0))
    sums = matrix.numel() * 3 // 2 if gradients and x.dtype is not torch.float32 else 0
    if m * n <= CHUNK_ELEMENTS + sums:
        return m
    most = max(1, CHUNK_ELEMENTS // n)
    equal = -(-m // -(-m // most))
    return min(most, -(-equal // CHUNK_ROWS) * CHUNK_ROWS)


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
