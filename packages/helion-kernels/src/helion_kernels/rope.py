"""Rotary position embedding (Su et al., "RoFormer", 2021), of queries and keys in one launch.

Pairs of elements are rotated by the angle of their position: left' = left * cos - right * sin and
right' = right * cos + left * sin. A pair is (x[i], x[i + d/2]), or (x[2i], x[2i + 1]) where `interleaved`, as in the
paper. The gradient is the rotation by the negative angle, so nothing but cos and sin is kept. Deterministic.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

import helion.language as hl

from .frame import Call, kernel, operator, usable
from .frame.samples import Shape, randn
from .frame.support import decline

SMALL: Shape = (2, 3, 10, 16)
SHAPES: tuple[Shape, ...] = (
    (1, 32, 4096, 128), (4, 32, 4096, 128), (8, 16, 2048, 64), (1, 64, 8192, 128), (64, 32, 1, 128),
)  # fmt: skip
HEADS = 16  # of a program: 4 KiB of neighbours for heads of 128


def _rotated(
    left: torch.Tensor, right: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    return left * cos - right * sin, right * cos + left * sin


def _heads_at_once(q: torch.Tensor, k: torch.Tensor, *_: Any) -> dict[str, Any]:
    """Many heads of one position, where they are neighbours in memory: they share its angles, which would otherwise be
    read, at twice the width, as often as the heads themselves.
    """
    if not all(t.stride(1) < t.stride(2) for t in (q, k)):
        return {}
    return {"block_sizes": [HEADS, 1] * 2, "loop_orders": [[0, 2, 1]] * 2, "num_warps": 4}


@kernel("rope", prefer=_heads_at_once)
def rope_halves(
    q: torch.Tensor, k: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor,
    q_out: torch.Tensor, k_out: torch.Tensor, sign: float,
) -> None:  # fmt: skip
    """Of q and k [batch, heads, length, 2 * half], with cos and sin [batch, length, half]."""
    half = hl.specialize(cos.size(2))
    for tile_b, tile_h, tile_t in hl.tile(q.size()[:3], block_size=[1, None, None]):
        c = cos[tile_b, tile_t, :].to(torch.float32)[:, None, :, :]
        s = sin[tile_b, tile_t, :].to(torch.float32)[:, None, :, :] * sign
        left = q[tile_b, tile_h, tile_t, :half].to(torch.float32)
        right = q[tile_b, tile_h, tile_t, half:].to(torch.float32)
        new_left, new_right = _rotated(left, right, c, s)
        q_out[tile_b, tile_h, tile_t, :half] = new_left
        q_out[tile_b, tile_h, tile_t, half:] = new_right
    for tile_b, tile_h, tile_t in hl.tile(k.size()[:3], block_size=[1, None, None]):
        c = cos[tile_b, tile_t, :].to(torch.float32)[:, None, :, :]
        s = sin[tile_b, tile_t, :].to(torch.float32)[:, None, :, :] * sign
        left = k[tile_b, tile_h, tile_t, :half].to(torch.float32)
        right = k[tile_b, tile_h, tile_t, half:].to(torch.float32)
        new_left, new_right = _rotated(left, right, c, s)
        k_out[tile_b, tile_h, tile_t, :half] = new_left
        k_out[tile_b, tile_h, tile_t, half:] = new_right


@kernel("rope", prefer=_heads_at_once)
def rope_pairs(
    q: torch.Tensor, k: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor,
    q_out: torch.Tensor, k_out: torch.Tensor, sign: float,
) -> None:  # fmt: skip
    """As `rope_halves`. Pairs are split and joined in registers, so that reads and writes are as wide as there."""
    half = hl.specialize(cos.size(2))
    for tile_b, tile_h, tile_t in hl.tile(q.size()[:3], block_size=[1, None, None]):
        c = cos[tile_b, tile_t, :].to(torch.float32)[:, None, :, :]
        s = sin[tile_b, tile_t, :].to(torch.float32)[:, None, :, :] * sign
        pairs = q[tile_b, tile_h, tile_t, :].to(torch.float32).reshape(tile_b, tile_h, tile_t, half, 2)
        joined = hl.join(*_rotated(*hl.split(pairs), c, s))
        q_out[tile_b, tile_h, tile_t, :] = joined.reshape(tile_b, tile_h, tile_t, 2 * half)
    for tile_b, tile_h, tile_t in hl.tile(k.size()[:3], block_size=[1, None, None]):
        c = cos[tile_b, tile_t, :].to(torch.float32)[:, None, :, :]
        s = sin[tile_b, tile_t, :].to(torch.float32)[:, None, :, :] * sign
        pairs = k[tile_b, tile_h, tile_t, :].to(torch.float32).reshape(tile_b, tile_h, tile_t, half, 2)
        joined = hl.join(*_rotated(*hl.split(pairs), c, s))
        k_out[tile_b, tile_h, tile_t, :] = joined.reshape(tile_b, tile_h, tile_t, 2 * half)


# --- operator


def _forward(
    q: torch.Tensor, k: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, interleaved: bool, inverse: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    outputs = _fake(q, k, cos, sin, interleaved, inverse)
    if q.numel() + k.numel() == 0:
        return outputs
    batch = max(q.size(0), k.size(0))  # one of the two may be empty
    angles = (cos.expand(batch, -1, -1), sin.expand(batch, -1, -1))
    rotate = rope_pairs if interleaved else rope_halves
    rotate(q, k, *angles, *outputs, -1.0 if inverse else 1.0)
    return outputs


def _fake(
    q: torch.Tensor, k: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, interleaved: bool, inverse: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.empty_like(q), torch.empty_like(k)


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[torch.Tensor, ...]) -> None:
    _, _, cos, sin, ctx.interleaved, ctx.inverse = inputs
    ctx.save_for_backward(cos, sin)


def _gradients(ctx: Any, dq: torch.Tensor | None, dk: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
    given = [d for d in (dq, dk) if d is not None]
    if not given:
        return (None,) * 6
    both = (given[0].new_empty((0, *given[0].shape[1:])) if d is None else d for d in (dq, dk))
    rotated = rope_op(*both, *ctx.saved_tensors, ctx.interleaved, not ctx.inverse)
    results = (r if d is not None else None for d, r in zip((dq, dk), rotated, strict=True))
    return *results, None, None, None, None


rope_op = operator(
    "rope(Tensor q, Tensor k, Tensor cos, Tensor sin, bool interleaved, bool inverse) -> (Tensor, Tensor)",
    _forward, _fake, _gradients, _save,
)  # fmt: skip


# --- function


def rope(
    q: torch.Tensor, k: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, *, interleaved: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Queries and keys, rotated by the angles of their positions.

    q: [batch, heads, length, d]; k: [batch, key heads, length, d], of the same dtype; both with any strides, which the
    results keep. cos, sin: [length, d / 2] or [batch, length, d / 2], of any floating dtype. Gradients are for q and k
    only. Raises ValueError for other shapes.
    """
    _check(q, k, cos, sin)
    cos, sin = (t if t.dim() == 3 else t.unsqueeze(0) for t in (cos, sin))
    if cos.requires_grad or sin.requires_grad:
        decline("rope", "cos and sin that require gradients")
    elif q.dtype is k.dtype and usable("rope", q, k, cos, sin):
        return rope_op(q, k, cos, sin, interleaved, False)
    return _by_torch(q, cos, sin, interleaved), _by_torch(k, cos, sin, interleaved)


def _check(q: torch.Tensor, k: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> None:
    fits = q.dim() == k.dim() == 4 and q.shape[-1] % 2 == 0 and (q.shape[0], *q.shape[2:]) == (k.shape[0], *k.shape[2:])
    angles = (q.shape[-2], q.shape[-1] // 2) if fits else ()
    if not fits or any(tuple(t.shape) not in (angles, (1, *angles), (q.shape[0], *angles)) for t in (cos, sin)):
        raise ValueError(
            f"rope: q {list(q.shape)}, k {list(k.shape)}, cos {list(cos.shape)} and sin {list(sin.shape)} do not fit: "
            "wanted are q and k [batch, heads, length, d] with an even d, and cos and sin [length, d / 2] or "
            "[batch, length, d / 2]"
        )


def _by_torch(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, interleaved: bool) -> torch.Tensor:
    cos, sin = cos.unsqueeze(1), sin.unsqueeze(1)
    if interleaved:
        return torch.stack(_rotated(x[..., 0::2], x[..., 1::2], cos, sin), dim=-1).flatten(-2).to(x.dtype)
    left, right = x.chunk(2, dim=-1)
    return torch.cat(_rotated(left, right, cos, sin), dim=-1).to(x.dtype)


# --- samples


def calls(shape: Shape, dtype: torch.dtype, device: torch.device) -> Iterator[Call]:
    """shape: batch, heads, length, d; with as many key heads, and in memory as [batch, length, heads, d]."""
    batch, heads, length, d = shape
    cos, sin = (torch.randn((length, d // 2), device=device) for _ in range(2))
    for name, interleaved in (("halves", False), ("interleaved", True)):
        q, k = (randn((batch, length, heads, d), dtype, device).transpose(1, 2) for _ in range(2))
        yield Call(name, rope, (q, k, cos, sin), {"interleaved": interleaved})
