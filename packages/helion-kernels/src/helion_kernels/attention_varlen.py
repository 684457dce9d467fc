"""Attention of sequences of different lengths, packed one behind the other without padding.

The formulas are those of `attention`. Every run gives the same bits. A query that sees no key gives 0, and -inf as the
logarithm of its sum.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch

from .attention import MOST_LANES, band_of, by_torch
from .flash.backward import attention_delta
from .flash.varlen import varlen_dkdv, varlen_dq, varlen_forward
from .frame import Call, ahead, operator, usable
from .frame.samples import Shape, randn
from .frame.support import decline

SMALL: Shape = (3, 2, 1, 40, 16)
SHAPES: tuple[Shape, ...] = (
    (8, 32, 8, 8192, 128),
    (8, 32, 32, 8192, 128),
    (16, 32, 8, 16384, 128),
    (8, 16, 16, 8192, 64),
    (64, 32, 8, 32768, 128),
)


# --- operators


def _heads_first(*tensors: torch.Tensor) -> list[torch.Tensor]:
    return [t.transpose(0, 1) for t in tensors]


def _forward(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, begins_q: torch.Tensor, begins_k: torch.Tensor, longest_q: int,
    longest_k: int, scale: float, left: int, right: int,
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    return varlen_forward(*_heads_first(q, k, v), begins_q, begins_k, longest_q, scale, (left, right))


def _fake(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, begins_q: torch.Tensor, begins_k: torch.Tensor, longest_q: int,
    longest_k: int, scale: float, left: int, right: int,
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    rows, heads, _ = q.size()
    return q.new_empty(rows, heads, v.size(2)), q.new_empty(heads, rows, dtype=torch.float32)


def _backward(
    grad: torch.Tensor, grad_logs: torch.Tensor | None, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor,
    out: torch.Tensor, logs: torch.Tensor, begins_q: torch.Tensor, begins_k: torch.Tensor, longest_q: int,
    longest_k: int, scale: float, left: int, right: int,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:  # fmt: skip
    of_logs = None if grad_logs is None else grad_logs[None]
    heads, band = _heads_first(q, k, v, grad), (left, right)

    def arguments(delta: torch.Tensor) -> tuple[Any, Any]:
        args = (*heads, logs, delta, begins_q, begins_k)
        return (*args, longest_k, scale, band), (*args, longest_q, scale, band)

    with ahead((varlen_dkdv, varlen_dq), lambda: arguments(torch.empty_like(logs))):
        delta = attention_delta(grad.transpose(0, 1)[None], out.transpose(0, 1)[None], of_logs)
        of_dkdv, of_dq = arguments(delta[0])
        return varlen_dq(*of_dq), *varlen_dkdv(*of_dkdv)


def _fake_backward(
    grad: torch.Tensor, grad_logs: torch.Tensor | None, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor,
    out: torch.Tensor, logs: torch.Tensor, begins_q: torch.Tensor, begins_k: torch.Tensor, longest_q: int,
    longest_k: int, scale: float, left: int, right: int,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:  # fmt: skip
    dq, dk, dv = (t.new_empty(t.size()) for t in (q, k, v))
    return dq, dk, dv


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[torch.Tensor, torch.Tensor]) -> None:
    q, k, v, begins_q, begins_k, *ctx.rest = inputs
    ctx.save_for_backward(q, k, v, *output, begins_q, begins_k)


def _gradients(ctx: Any, grad: torch.Tensor | None, grad_logs: torch.Tensor | None) -> tuple[Any, ...]:
    saved = ctx.saved_tensors
    if grad is None:
        grad = torch.zeros_like(saved[3])
    return *varlen_backward_op(grad, grad_logs, *saved, *ctx.rest), *(None,) * 7


varlen_op = operator(
    "attention_varlen(Tensor q, Tensor k, Tensor v, Tensor begins_q, Tensor begins_k, int longest_q, int longest_k, "
    "float scale, int left, int right) -> (Tensor, Tensor)",
    _forward, _fake, _gradients, _save,
)  # fmt: skip
varlen_backward_op = operator(
    "attention_varlen_backward(Tensor grad, Tensor? grad_logs, Tensor q, Tensor k, Tensor v, Tensor out, Tensor logs, "
    "Tensor begins_q, Tensor begins_k, int longest_q, int longest_k, float scale, int left, int right) "
    "-> (Tensor, Tensor, Tensor)",
    _backward, _fake_backward,
)  # fmt: skip


# --- function


def attention_varlen(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, cu_seq_q: torch.Tensor, cu_seq_k: torch.Tensor,
    max_q: int, max_k: int, *, scale: float | None = None, window_size: tuple[int, int] = (-1, -1),
    enable_gqa: bool = False, return_lse: bool = False,
) -> Any:  # fmt: skip
    """As `torch.nn.attention.varlen.varlen_attn`: attention within each of the packed sequences.

    query [queries, heads, d], key [keys, kv_heads, d], value [keys, kv_heads, e]; float32, float16 or bfloat16.
    cu_seq_q, cu_seq_k, int32 [sequences + 1]: sequence s has queries cu_seq_q[s] to cu_seq_q[s + 1] and keys alike;
    together they are all. max_q, max_k: at least the longest. window_size = (left, right): the query beside key j
    sees keys j - left to j + right, -1 for no bound; the last query of a sequence is beside its last key, and (-1, 0)
    is causal.
    Returns [queries, heads, e]; with `return_lse` also the logarithms of the sums, float32 [heads, queries].
    """
    left, right = band_of(window_size, False)
    if _takes(query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, scale, enable_gqa):
        natural = 1 / math.sqrt(query.size(-1)) if scale is None else scale
        result = varlen_op(query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, natural, left, right)
    else:
        result = _by_torch(query, key, value, cu_seq_q, cu_seq_k, scale, left, right)
    return result if return_lse else result[0]


def _takes(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, begins_q: torch.Tensor, begins_k: torch.Tensor, longest_q: int,
    longest_k: int, scale: float | None, enable_gqa: bool,
) -> bool:  # fmt: skip
    if not usable("attention_varlen", q, k, v) or not q.dim() == k.dim() == v.dim() == 3:
        return False
    if not q.dtype == k.dtype == v.dtype or begins_q.size() != begins_k.size() or begins_q.dim() != 1:
        return False
    if 0 in (*q.size(), *k.size(), *v.size(), longest_q, longest_k) or k.shape[:2] != v.shape[:2]:
        return False
    if q.size(2) != k.size(2) or not (q.size(1) == k.size(1) or (enable_gqa and q.size(1) % k.size(1) == 0)):
        return False
    for refused, reason in (
        (any(t.dtype is not torch.int32 or t.device != q.device for t in (begins_q, begins_k)), "such cu_seq tensors"),
        (scale is not None and not scale > 0, "a scale that is not positive"),
        (max(q.size(2), v.size(2)) > MOST_LANES, f"heads of more than {MOST_LANES} elements"),
    ):
        if refused:
            decline("attention_varlen", reason)
            return False
    return True


def _by_torch(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, begins_q: torch.Tensor, begins_k: torch.Tensor,
    scale: float | None, left: int, right: int,
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    """One sequence after the other."""
    outs, logs = [], []
    parts = zip(*(t.split(b.diff().tolist()) for t, b in ((q, begins_q), (k, begins_k), (v, begins_k))), strict=True)
    for one_q, one_k, one_v in parts:
        shift = one_k.size(0) - one_q.size(0)
        heads = [t.transpose(0, 1) for t in (one_q, one_k, one_v)]
        out, log = by_torch(heads[0], heads[1], heads[2], None, scale, left, right, shift)
        outs.append(out.transpose(0, 1))
        logs.append(log)
    return torch.cat(outs), torch.cat(logs, dim=1)


# --- samples


def calls(shape: Shape, dtype: torch.dtype, device: torch.device) -> Iterator[Call]:
    """shape: sequences, heads, heads of keys and values, length of all sequences, elements of a head."""
    count, heads, groups, length, d = shape
    begins = (torch.linspace(0, 1, count + 1, device=device).square() * length).to(torch.int32)
    longest = length - int(((count - 1) / count) ** 2 * length) + 1
    q, k, v = (randn((length, h, d), dtype, device) for h in (heads, groups, groups))
    options = {"window_size": (-1, 0), "enable_gqa": heads != groups}
    yield Call("causal", attention_varlen, (q, k, v, begins, begins, longest, longest), options)
