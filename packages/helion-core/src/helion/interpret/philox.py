"""Random numbers as the compiled kernel draws them, in torch integers.

Philox 4x32 with 10 rounds (Salmon et al., SC 2011).
"""

from __future__ import annotations

import math

import torch

_MASK = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_SCALE = 4.6566127342e-10  # one over 2**31, rounded so that the largest result stays below 1


def _multiply(a: torch.Tensor, b: int) -> tuple[torch.Tensor, torch.Tensor]:
    """High and low 32 bits of a * b, for a below 2**32 in int64."""
    low = (a & 0xFFFF) * b
    high = (a >> 16) * b
    total = (low >> 16) + (high & _MASK)
    return ((high >> 32) * (1 << 16) + (total >> 16)) & _MASK, ((total << 16) | (low & 0xFFFF)) & _MASK


def philox(seed: int, positions: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Four int64 tensors of 32 random bits each, for every position."""
    c0 = positions.to(torch.int64) & _MASK
    c1, c2, c3 = (torch.zeros_like(c0) for _ in range(3))
    k0, k1 = seed & _MASK, (seed >> 32) & _MASK
    for _ in range(10):
        high_a, low_a = _multiply(c0, _MULTIPLIERS[0])
        high_b, low_b = _multiply(c2, _MULTIPLIERS[1])
        c0, c1, c2, c3 = high_b ^ c1 ^ k0, low_b, high_a ^ c3 ^ k1, low_a
        k0, k1 = (k0 + _WEYL[0]) & _MASK, (k1 + _WEYL[1]) & _MASK
    return c0, c1, c2, c3


def uniform(bits: torch.Tensor) -> torch.Tensor:
    """float32 in [0, 1) from 32 random bits."""
    signed = torch.where(bits > 0x7FFFFFFF, bits - (1 << 32), bits)
    return torch.where(signed < 0, -signed - 1, signed).to(torch.float32) * _SCALE


def normal(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Standard normal numbers by Box and Muller, from two uniform ones."""
    radius = torch.sqrt(-2.0 * torch.log(a.clamp(min=1.0e-7)))
    return radius * torch.cos(2 * math.pi * b)
