"""Dropout (Srivastava et al., 2014): y = x * m with m = 1 / (1 - p) where u > p, else 0, and u uniform in [0, 1).

u is Philox noise of a seed, the position in x and its size, so the backward pass draws the same mask again, and nothing
is kept but the seed. As `torch.nn.functional.dropout`, with noise of its own: for one seed of torch's generator it
zeroes other elements than torch does. Deterministic for a seed, and independent of the GPU and of configs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

import helion.language as hl

from .frame import Call, kernel, operator, usable
from .frame.rows import shaped
from .frame.samples import Shape, randn

SMALL: Shape = (7, 48)
SHAPES: tuple[Shape, ...] = ((8192, 1024), (8192, 4096), (8192, 8192), (4096, 16384), (64, 4096))


@kernel("dropout", prefer=lambda *_: {"block_sizes": [256], "num_warps": 2})
def dropout_flat(x: torch.Tensor, seed: torch.Tensor, p: float, scale: float) -> torch.Tensor:
    """Of x [n]; seed: one int64 on the same device.

    One run of Philox gives four numbers, one for each quarter of x, all of them read in order. With four elements of
    each a thread, which are 32 registers, as many threads as a multiprocessor holds hide what each of them waits for.
    """
    n = x.size(0)
    quarter = (n + 31) // 32 * 8 if n >= 32 else (n + 3) // 4  # whole vectors of 16 bytes
    out = torch.empty_like(x)
    block = hl.register_block_size(1, 1024)  # Philox takes many registers
    for tile in hl.tile(quarter, block_size=block):
        noise = hl.rand4x([tile], seed=seed[0])
        for part in range(4):
            factor = torch.where(noise[part] > p, scale, 0.0)
            out[tile + part * quarter] = x[tile + part * quarter].to(torch.float32) * factor
    return out


def _forward(x: torch.Tensor, seed: torch.Tensor, p: float) -> torch.Tensor:
    if x.numel() == 0:
        return _fake(x, seed, p)
    return shaped(dropout_flat(shaped(x, (x.numel(),)), seed, p, 1.0 / (1.0 - p)), x.size())


def _fake(x: torch.Tensor, seed: torch.Tensor, p: float) -> torch.Tensor:
    return torch.empty(x.size(), dtype=x.dtype, device=x.device)


def _save(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    _, seed, ctx.p = inputs
    ctx.save_for_backward(seed)


def _gradients(ctx: Any, grad: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
    (seed,) = ctx.saved_tensors
    return None if grad is None else dropout_op(grad, seed, ctx.p), None, None


dropout_op = operator("dropout(Tensor x, Tensor seed, float p) -> Tensor", _forward, _fake, _gradients, _save)


def dropout(
    x: torch.Tensor, p: float = 0.5, training: bool = True, inplace: bool = False, *, seed: torch.Tensor | None = None
) -> torch.Tensor:
    """Zeroes elements with probability `p` and scales the others by 1 / (1 - p), as `torch.nn.functional.dropout`.

    seed: one int64 on the device of `x`; by default drawn from torch's generator of that device, so `torch.manual_seed`
    fixes the mask. In-place dropout, and p = 1, are left to torch.
    """
    ours = training and 0.0 < p < 1.0 and not inplace
    if not ours or not usable("dropout", x):
        return torch.nn.functional.dropout(x, p, training, inplace)
    if seed is None:
        seed = torch.randint(2**62, (1,), dtype=torch.int64, device=x.device)
    elif seed.dtype is not torch.int64 or seed.numel() != 1 or seed.device != x.device:
        raise ValueError(f"dropout: `seed` must be one int64 on {x.device}, not {seed.dtype} {list(seed.shape)}")
    return dropout_op(x, shaped(seed, (1,)), p)


def calls(shape: Shape, dtype: torch.dtype, device: torch.device) -> Iterator[Call]:
    """shape: any."""
    yield Call("p = 0.1", dropout, (randn(shape, dtype, device), 0.1))
