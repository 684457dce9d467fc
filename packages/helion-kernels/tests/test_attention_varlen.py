"""Attention of packed sequences and its gradients against float64, sequence by sequence."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from helion import exc
from helion_kernels import attention, attention_varlen
from helion_kernels.testing import check


def packed(queries, keys, h=2, g=1, d=16, e=16, dtype=torch.float32) -> list[Any]:
    """Arguments of a call: sequences of so many queries and keys."""
    begins = [torch.tensor([0, *sizes]).cumsum(0).to(torch.int32) for sizes in (queries, keys)]
    sizes = ((sum(queries), h, d), (sum(keys), g, d), (sum(keys), g, e))
    tensors = [torch.randn(size).to(dtype).requires_grad_() for size in sizes]
    return [*tensors, *begins, max(queries), max(keys)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("window", [(-1, -1), (-1, 0)])
def test_values_and_gradients(window, dtype):
    args = packed((20, 33, 1), (20, 33, 1), dtype=dtype)
    check(attention_varlen, *args, window_size=window, enable_gqa=True)


@pytest.mark.parametrize("window", [(-1, -1), (-1, 0), (5, 0), (3, 4), (-1, 2)])
def test_lengths_that_differ(window):
    args = packed((0, 17, 5, 30, 0), (4, 40, 0, 12, 0))
    out, logs = check(attention_varlen, *args, window_size=window, enable_gqa=True, return_lse=True)
    assert (out[17:22] == 0).all() and (logs[:, 17:22] == -float("inf")).all(), "queries without keys"


def test_sizes_of_heads_and_scale():
    check(attention_varlen, *packed((9, 20), (20, 9), h=4, g=4, d=24, e=40), scale=0.3)


def test_as_dense_attention(interpret):
    q, k, v, *rest = packed((24, 24), (24, 24))
    dense: list[Any] = [t.detach().view(2, 24, -1, 16).transpose(1, 2) for t in (q, k, v)]
    expected = attention(*dense, is_causal=True, enable_gqa=True).transpose(1, 2).reshape(48, 2, 16)
    out = attention_varlen(q, k, v, *rest, window_size=(-1, 0), enable_gqa=True)
    torch.testing.assert_close(out, expected)


def test_nan_stays_in_its_sequence(interpret):
    q, k, v, *rest = packed((10, 20), (10, 20))
    k.data[12], v.data[11] = float("nan"), float("inf")
    out = attention_varlen(q, k, v, *rest, enable_gqa=True)
    assert out[:10].isfinite().all() and out[10:].isnan().all()


@pytest.mark.parametrize("window", [(-1, -1), (-1, 0), (3, 4)])
def test_nan_stays_out_of_gradients_of_others(window, interpret):
    q, k, v, *rest = packed((10, 20, 7), (10, 20, 7))
    for t in (q, k, v):
        t.data[10:30] = float("nan")
    out = attention_varlen(q, k, v, *rest, window_size=window, enable_gqa=True)
    grad = torch.ones_like(out)
    grad[10:30] = float("nan")
    for gradient in torch.autograd.grad(out, (q, k, v), grad):
        assert gradient[:10].isfinite().all() and gradient[30:].isfinite().all()


def test_mistakes(interpret):
    with pytest.raises(exc.InvalidArgument, match="window"):
        attention_varlen(*packed((5,), (5,)), window_size=(-3, 0))
