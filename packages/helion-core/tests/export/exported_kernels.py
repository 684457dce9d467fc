"""Kernels that the tests export."""

import math

import torch

import helion
import helion.language as hl

FACTOR = 3


def padded(n: int) -> int:
    return math.ceil(n / FACTOR) * FACTOR


@helion.kernel(use_default_config=True)
def matmul(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    m, k = x.size()
    k, n = y.size()
    out = torch.empty([m, n], dtype=x.dtype, device=x.device)
    for tile_m, tile_n in hl.tile([m, n]):
        acc = hl.zeros([tile_m, tile_n], dtype=torch.float32)
        for tile_k in hl.tile(k):
            acc = torch.addmm(acc, x[tile_m, tile_k], y[tile_k, tile_n])
        out[tile_m, tile_n] = acc
    return out


@helion.kernel(use_default_config=True)
def doubled(x: torch.Tensor) -> torch.Tensor:
    """Rows of batches."""
    b, m, n = x.size()
    out = torch.empty([b, m, n], dtype=x.dtype, device=x.device)
    for tile_b, tile_m in hl.tile([b, m]):
        out[tile_b, tile_m, :] = x[tile_b, tile_m, :] * 2
    return out


@helion.kernel(use_default_config=True)
def softmax(x: torch.Tensor) -> torch.Tensor:
    m, n = x.size()
    out = torch.empty_like(x)
    for tile in hl.tile(m):
        out[tile, :] = torch.softmax(x[tile, :].to(torch.float32), dim=1).to(x.dtype)
    return out


@helion.kernel(use_default_config=True)
def shift(x: torch.Tensor, offset: int, scale: float = 2.0, negate: bool = False) -> torch.Tensor:
    """Host code with a helper, a constant, a branch, and a result larger than the argument."""
    n = x.size(0)
    out = torch.zeros([padded(n)], dtype=x.dtype, device=x.device)
    if negate:
        scale = -scale
    for tile in hl.tile(n):
        out[tile] = x[tile] * scale + offset
    return out


@helion.kernel(use_default_config=True)
def conditional(x: torch.Tensor, n: int) -> torch.Tensor:
    """A branch of the host on the value of a number."""
    out = torch.empty_like(x)
    factor = 2 if n > 4 else 3
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] * factor + n
    return out


@helion.kernel(use_default_config=True)
def sum_of_list(xs: list[torch.Tensor]) -> torch.Tensor:
    out = torch.empty_like(xs[0])
    for tile in hl.tile(out.size(0)):
        out[tile] = xs[0][tile] + xs[1][tile]
    return out


@helion.kernel(use_default_config=True)
def applied(x: torch.Tensor, function) -> torch.Tensor:
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = function(x[tile])
    return out


@helion.kernel(use_default_config=True)
def two_stages(x: torch.Tensor) -> torch.Tensor:
    """A barrier: all programs must run at the same time."""
    middle, out = torch.empty_like(x), torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        middle[tile] = x[tile] * 2
    hl.barrier()
    for tile in hl.tile(x.size(0)):
        out[tile] = middle[tile] + 1
    return out


@helion.kernel(use_default_config=True, static_shapes=False)
def dynamic_matmul(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """One compiled kernel for all sizes."""
    out = torch.empty([x.size(0), y.size(1)], dtype=x.dtype, device=x.device)
    for tile_m, tile_n in hl.tile(out.size()):
        acc = hl.zeros([tile_m, tile_n], dtype=torch.float32)
        for tile_k in hl.tile(x.size(1)):
            acc = torch.addmm(acc, x[tile_m, tile_k], y[tile_k, tile_n])
        out[tile_m, tile_n] = acc
    return out


@helion.kernel(use_default_config=True)
def rows_from(x: torch.Tensor, start: int) -> torch.Tensor:
    """A number beside blocks of a tensor."""
    out = torch.empty_like(x)
    for tile_m, tile_n in hl.tile(x.size()):
        out[tile_m, tile_n] = x[tile_m, tile_n] + start
    return out
