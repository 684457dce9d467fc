"""Attention and its gradients against float64: bands, masks, groups of heads, odd sizes, rows that see nothing."""

from __future__ import annotations

import pytest
import torch

from helion import exc
from helion_kernels import attention
from helion_kernels.attention import by_torch
from helion_kernels.testing import assert_close, check, interpreted

INF, SLOW = float("inf"), pytest.mark.slow


def qkv(b=1, h=2, g=1, m=40, n=50, d=16, e=16, dtype=torch.float32):
    sizes = ((b, h, m, d), (b, g, n, d), (b, g, n, e))
    return [torch.randn(size).to(dtype).requires_grad_() for size in sizes]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("is_causal", [False, True])
def test_values_and_gradients(is_causal, dtype):
    out = check(attention, *qkv(dtype=dtype), is_causal=is_causal, enable_gqa=True)
    assert out.transpose(1, 2).is_contiguous()


@pytest.mark.parametrize(("m", "n"), [(1, 1), (1, 70), (33, 1), (70, 33)])
def test_lengths(m, n):
    gradients = n > 1  # of one key, those of q and k are 0, up to rounding
    check(attention, *qkv(m=m, n=n, h=1), gradients=gradients)
    check(attention, *qkv(m=m, n=n, h=1), is_causal=True, gradients=gradients and m > 1)


@pytest.mark.parametrize(("d", "e"), [(1, 1), (80, 80), (96, 48), (256, 256)])
def test_sizes_of_heads(d, e):
    check(attention, *qkv(h=1, m=20, n=18, d=d, e=e), is_causal=True)


@pytest.mark.parametrize("window", [(0, 0), (7, 3), (-1, 4), (3, -1), pytest.param((100, 100), marks=SLOW)])
def test_windows(window):
    out, logs = check(attention, *qkv(m=60, n=50, h=1), window=window, return_lse=True)
    assert logs.dtype is torch.float32 and bool(logs.isfinite().all()) == bool((out != 0).all())


def test_a_causal_window():
    q, k, v = qkv(m=40, n=40)
    check(attention, q, k, v, is_causal=True, window=(5, 9), enable_gqa=True)


@pytest.mark.parametrize("size", [(40, 50), (1, 3, 1, 50), pytest.param((2, 3, 40, 50), marks=SLOW)])
def test_added_masks_and_their_gradients(size):
    q, k, v = qkv(b=2, h=3, g=3)
    check(attention, q, k, v, torch.randn(size, requires_grad=True))


def test_a_mask_that_is_the_same_for_all_keys_changes_nothing():
    """Its gradient is 0, up to the rounding of sums of 300 terms of at most 1."""
    q, k, v = qkv(b=2, h=3, g=3)
    mask = torch.randn(1, 40, 1, requires_grad=True)
    with interpreted():
        out = attention(q, k, v, mask)
        (grad,) = torch.autograd.grad(out.sum(), mask)
    assert_close(out, attention(q.double(), k.double(), v.double()), 1e-5)
    assert grad.shape == mask.shape and grad.abs().max() < 1e-5


@pytest.mark.parametrize("size", [(40, 50), (2, 1, 1, 50)])
def test_boolean_masks(size):
    check(attention, *qkv(b=2), torch.rand(size) > 0.6, enable_gqa=True)


def test_queries_that_see_no_key():
    q, k, v = qkv()
    mask = torch.rand(40, 50) > 0.5
    mask[3] = mask[30:] = False
    out, logs = check(attention, q, k, v, mask, enable_gqa=True, return_lse=True)
    assert (out[..., 30:, :] == 0).all() and (logs[..., 3] == -INF).all()
    added = torch.where(mask, 0.0, -INF)
    check(attention, q, k, v, added, enable_gqa=True)
    check(attention, *qkv(m=70, n=20), window=(4, 0), enable_gqa=True)  # beyond the last key


def test_gradient_of_the_logsumexp():
    def both(*args):
        out, logs = attention(*args, is_causal=True, return_lse=True)
        return out + logs[..., None].to(out.dtype)

    check(both, *qkv(g=2))
    q, k, v = qkv(g=2)
    check(lambda *args: attention(*args, return_lse=True)[1], q, k, v.detach())


def test_strides_and_three_dimensions():
    q, k, v = (torch.randn(2, 20, 3, 16).transpose(1, 2).requires_grad_() for _ in range(3))
    check(attention, q, k, v)
    check(attention, q[0].detach().requires_grad_(), k[0].detach(), v[0].detach(), is_causal=True)
    packed = torch.randn(1, 20, 9, 16, requires_grad=True)
    check(lambda x: attention(*(t.transpose(1, 2) for t in x.split(3, 2))), packed)


def test_scales_and_large_scores():
    q, k, v = qkv(g=2)
    check(attention, q, k, v, scale=0.7)
    check(attention, 300 * q.detach(), k, v, tolerance=1e-3)  # scores of thousands


def test_nan_reaches_its_row_only(interpret):
    q, k, v = (t.detach() for t in qkv(g=2))
    q[0, 0, 5] = float("nan")
    out = attention(q, k, v)
    assert out[0, 0, 5].isnan().all() and out.isnan().sum() == 16


def test_the_same_bits_twice(interpret):
    q, k, v = qkv(g=2)
    runs = [torch.autograd.grad(attention(q, k, v, is_causal=True).sum(), (q, k, v)) for _ in range(2)]
    assert all(torch.equal(a, b) for a, b in zip(*runs, strict=True))


def test_what_torch_does(interpret):
    q, k, v = (t.detach() for t in qkv(g=2))
    for scale in (-0.5, 0.0):
        expected = torch.nn.functional.scaled_dot_product_attention(q, k, v, scale=scale)
        torch.testing.assert_close(attention(q, k, v, scale=scale), expected)
    assert attention(q[:, :, :0], k, v).shape == (1, 2, 0, 16)
    assert (attention(q, k[:, :, :0], v[:, :, :0]) == 0).all()
    out, _ = by_torch(q, k, v, None, None, -1, 0)
    torch.testing.assert_close(out, torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True))


def test_mistakes(interpret):
    q, k, v = qkv(g=2)
    with pytest.raises(exc.InvalidArgument, match="window"):
        attention(q, k, v, window=(-2, 0))
    with pytest.raises(exc.InvalidArgument, match="dropout"):
        attention(q, k, v, dropout_p=0.5, window=(2, 0))
    with pytest.raises(RuntimeError):
        attention(q, k[..., :8], v)
    with pytest.raises(RuntimeError):
        attention(q, k, v, torch.zeros(7, 9))


@pytest.mark.filterwarnings("ignore::helion_kernels.FallbackWarning")
def test_logarithms_that_torch_computes_are_float32_too():
    q = torch.randn(1, 2, 5, 8).bfloat16()
    out, logs = attention(q, q, q, return_lse=True)
    assert (out.dtype, logs.dtype) == (torch.bfloat16, torch.float32)
    none = torch.randn(1, 2, 5, 0)  # scores of nothing are 0
    torch.testing.assert_close(attention(none, none, q, return_lse=True)[1], torch.full((1, 2, 5), 5.0).log())
