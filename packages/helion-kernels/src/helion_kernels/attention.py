"""Scaled dot product attention, softmax(q @ k^T * scale + mask) @ v, without ever holding the scores.

Dao, "FlashAttention-2", 2023. Groups of query heads may share a head of keys and values (Ainslie et al., "GQA", 2023),
and keys may be limited to a sliding window (Beltagy et al., "Longformer", 2020). Every run gives the same bits: the
backward pass adds nothing atomically. A query that sees no key gives 0, and -inf as the logarithm of its sum, as in
torch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch

from helion import exc

from .flash.backward import attention_delta, attention_dkdv, attention_dq
from .flash.forward import attention_forward
from .frame import Call, ahead, operator, usable
from .frame.samples import Shape, randn
from .frame.support import decline

SMALL: Shape = (1, 2, 1, 24, 16)
SHAPES: tuple[Shape, ...] = (
    (4, 32, 32, 4096, 128),
    (4, 32, 32, 4096, 64),
    (4, 32, 8, 4096, 128),
    (1, 32, 8, 16384, 128),
    (16, 32, 8, 1024, 128),
)
MOST_LANES = 256  # of a head


# --- operators


def _rows_first(like: torch.Tensor, sizes: tuple[int, int, int, int]) -> torch.Tensor:
    """Empty, of `sizes` [b, h, m, e], with the elements of a row of all heads side by side."""
    b, h, m, e = sizes
    return torch.empty([b, m, h, e], dtype=like.dtype, device=like.device).transpose(1, 2)


def _expanded(bias: torch.Tensor | None, q: torch.Tensor, k: torch.Tensor) -> torch.Tensor | None:
    return None if bias is None else bias.expand(*q.shape[:3], k.size(2))


def _forward(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, bias: torch.Tensor | None, scale: float, left: int, right: int
) -> tuple[torch.Tensor, torch.Tensor]:
    return attention_forward(q, k, v, _expanded(bias, q, k), scale, (left, right))


def _fake(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, bias: torch.Tensor | None, scale: float, left: int, right: int
) -> tuple[torch.Tensor, torch.Tensor]:
    b, h, m, _ = q.size()
    return _rows_first(q, (b, h, m, v.size(3))), torch.empty([b, h, m], dtype=torch.float32, device=q.device)


def _backward(
    grad: torch.Tensor, grad_logs: torch.Tensor | None, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor,
    bias: torch.Tensor | None, out: torch.Tensor, logs: torch.Tensor, scale: float, left: int, right: int, dbias: bool,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:  # fmt: skip
    whole, band = _expanded(bias, q, k), (left, right)

    def arguments(delta: torch.Tensor) -> tuple[Any, Any]:
        args = (q, k, v, grad, whole, logs, delta, scale, band)
        return args, (*args, dbias)

    with ahead((attention_dkdv, attention_dq), lambda: arguments(torch.empty_like(logs))):
        of_dkdv, of_dq = arguments(attention_delta(grad, out, grad_logs))
        dq, ds = attention_dq(*of_dq)
        dk, dv = attention_dkdv(*of_dkdv)
    if not dbias:
        return dq, dk, dv, q.new_empty(0)
    assert bias is not None
    return dq, dk, dv, ds.sum_to_size(bias.size()).to(bias.dtype, copy=True)


def _fake_backward(
    grad: torch.Tensor, grad_logs: torch.Tensor | None, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor,
    bias: torch.Tensor | None, out: torch.Tensor, logs: torch.Tensor, scale: float, left: int, right: int, dbias: bool,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:  # fmt: skip
    dq, dk, dv = (_rows_first(t, tuple(t.size())) for t in (q, k, v))  # type: ignore[arg-type]
    return dq, dk, dv, bias.new_empty(bias.size()) if dbias and bias is not None else q.new_empty(0)


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[torch.Tensor, torch.Tensor]) -> None:
    q, k, v, bias, *ctx.rest = inputs
    ctx.save_for_backward(q, k, v, bias, *output)


def _gradients(ctx: Any, grad: torch.Tensor | None, grad_logs: torch.Tensor | None) -> tuple[Any, ...]:
    q, k, v, bias, out, logs = ctx.saved_tensors
    if grad is None:
        grad = torch.zeros_like(out)
    dbias = ctx.needs_input_grad[3]
    *grads, ds = attention_backward_op(grad, grad_logs, q, k, v, bias, out, logs, *ctx.rest, dbias)
    return *grads, ds if dbias else None, None, None, None


attention_op = operator(
    "attention(Tensor q, Tensor k, Tensor v, Tensor? bias, float scale, int left, int right) -> (Tensor, Tensor)",
    _forward, _fake, _gradients, _save,
)  # fmt: skip
attention_backward_op = operator(
    "attention_backward(Tensor grad, Tensor? grad_logs, Tensor q, Tensor k, Tensor v, Tensor? bias, Tensor out, "
    "Tensor logs, float scale, int left, int right, bool dbias) -> (Tensor, Tensor, Tensor, Tensor)",
    _backward, _fake_backward,
)  # fmt: skip


# --- functions


def attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0, is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False, *,
    window: tuple[int, int] = (-1, -1), return_lse: bool = False,
) -> Any:  # fmt: skip
    """As `torch.nn.functional.scaled_dot_product_attention`, with a sliding window and, if asked, the logsumexp.

    query [batch, heads, m, d], key [batch, kv_heads, n, d], value [batch, kv_heads, n, e], or all without the batch;
    float32, float16 or bfloat16; d and e up to 256. With `enable_gqa`, heads is a multiple of kv_heads. attn_mask:
    bool (True: is seen) or added, broadcast to [batch, heads, m, n]. is_causal: query i sees keys 0 to i. window =
    (left, right): query i sees keys i - left to i + right; -1 for no bound. Returns [batch, heads, m, e]; with
    `return_lse` also the natural logarithms of the sums, float32 [batch, heads, m]. Dropout is left to torch.
    """
    left, right = band_of(window, is_causal)
    if not _takes(query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa):
        if (window == (-1, -1)) and not return_lse:
            return torch.nn.functional.scaled_dot_product_attention(
                query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa
            )
        if dropout_p:
            raise exc.InvalidArgument(what="attention with dropout_p and window or return_lse", instead="leave one out")
        out, logs = by_torch(query, key, value, attn_mask, scale, left, right)
        return (out, logs) if return_lse else out
    if query.dim() == 3:
        query, key, value = query[None], key[None], value[None]
        out, logs = (t[0] for t in _called(query, key, value, attn_mask, scale, left, right))
    else:
        out, logs = _called(query, key, value, attn_mask, scale, left, right)
    return (out, logs) if return_lse else out


def _called(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor | None, scale: float | None, left: int,
    right: int,
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    if mask is not None and mask.dim() < 4:
        mask = mask[(None,) * (4 - mask.dim())]
    return attention_op(q, k, v, mask, 1 / math.sqrt(q.size(-1)) if scale is None else scale, left, right)


def band_of(window: tuple[int, int], is_causal: bool) -> tuple[int, int]:
    """Raises `InvalidArgument` for bounds below -1."""
    if len(window) != 2 or any(not isinstance(w, int) or w < -1 for w in window):
        raise exc.InvalidArgument(what=f"window={window!r}", instead="give two ints (left, right), -1 for no bound")
    return window[0], 0 if is_causal else window[1]


def _takes(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor | None, dropout_p: float, is_causal: bool,
    scale: float | None, enable_gqa: bool,
) -> bool:  # fmt: skip
    """Whether the kernels take a call; torch has the rest, and the errors for what nobody takes."""
    if not usable("attention", q, k, v) or not _fits(q, k, v, enable_gqa):
        return False
    if mask is not None and not _mask_fits(mask, q, k):
        return False
    if is_causal and mask is not None:
        return False
    if dropout_p != 0:
        reason = "dropout"
    elif scale is not None and not scale > 0:
        reason = "a scale that is not positive"
    elif max(q.size(-1), v.size(-1)) > MOST_LANES:
        reason = f"heads of more than {MOST_LANES} elements"
    else:
        return True
    decline("attention", reason)
    return False


def _fits(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, enable_gqa: bool) -> bool:
    """Whether the shapes are those of the function's description, and nothing is empty."""
    if not (q.dim() == k.dim() == v.dim() and q.dim() in (3, 4) and q.dtype == k.dtype == v.dtype):
        return False
    *batch, heads, _, d = q.size()
    *other_batch, groups, _, other_d = k.size()
    if batch != other_batch or d != other_d or k.shape[:-1] != v.shape[:-1]:
        return False
    full = q.numel() > 0 and k.numel() > 0 and v.numel() > 0
    return full and (heads == groups or (enable_gqa and heads % groups == 0))


def _mask_fits(mask: torch.Tensor, q: torch.Tensor, k: torch.Tensor) -> bool:
    wanted = (*q.shape[:-1], k.size(-2))
    if mask.dim() > len(wanted) or mask.device != q.device or mask.dtype not in (torch.bool, torch.float32, q.dtype):
        return False
    return all(a in (1, b) for a, b in zip(reversed(mask.size()), reversed(wanted), strict=False))


def by_torch(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor | None, scale: float | None, left: int,
    right: int, shift: int = 0,
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    """The result and the logarithms of the sums by plain torch; query i stands at position i + `shift`."""
    share = q.size(-3) // max(k.size(-3), 1)
    k, v = (t.repeat_interleave(share, dim=-3) for t in (k, v))
    scores = q @ k.transpose(-1, -2) * (1 / math.sqrt(max(1, q.size(-1))) if scale is None else scale)
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf")) if mask.dtype is torch.bool else scores + mask
    rows = torch.arange(q.size(-2), device=q.device)[:, None] + shift
    columns = torch.arange(k.size(-2), device=q.device)
    hidden = torch.zeros(scores.shape[-2:], dtype=torch.bool, device=q.device)
    hidden = hidden | (columns < rows - left) if left >= 0 else hidden
    hidden = hidden | (columns > rows + right) if right >= 0 else hidden
    scores = scores.masked_fill(hidden, float("-inf"))
    logs = scores.logsumexp(-1)
    weights = torch.exp(scores - logs.masked_fill(logs == float("-inf"), 0.0)[..., None])
    return weights.to(v.dtype) @ v, logs.to(torch.promote_types(logs.dtype, torch.float32))


# --- samples


def calls(shape: Shape, dtype: torch.dtype, device: torch.device) -> Iterator[Call]:
    """shape: batch, heads, heads of keys and values, length, elements of a head."""
    batch, heads, groups, length, d = shape
    sizes = ((batch, heads, length, d), (batch, groups, length, d), (batch, groups, length, d))
    for causal in (False, True):
        q, k, v = (randn(size, dtype, device) for size in sizes)
        options = {"is_causal": causal, "enable_gqa": heads != groups}
        yield Call("causal" if causal else "whole", attention, (q, k, v), options)
