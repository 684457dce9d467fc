"""SwiGLU (Shazeer, "GLU variants improve transformer", 2020): out = silu(a) * b, on halves of one tensor, and its
gradients.

With s = sigmoid(a): d/da = grad * b * s * (1 + a * (1 - s)), d/db = grad * a * s.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from _harness import Case, main

import helion
import helion.language as hl


@helion.kernel()
def swiglu(x: torch.Tensor) -> torch.Tensor:
    """x is [rows, 2 * n]: a on the left, b on the right; both are views made on the host."""
    rows, n = x.size(0), x.size(1) // 2
    a, b = x[:, :n], x[:, n:]
    out = torch.empty([rows, n], dtype=x.dtype, device=x.device)
    for tile in hl.tile(out.size()):
        out[tile] = (torch.nn.functional.silu(a[tile].to(torch.float32)) * b[tile]).to(x.dtype)
    return out


@helion.kernel()
def swiglu_backward(grad: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """One loop writes both halves of dx, the right one by an offset tile."""
    n = grad.size(1)
    dx = torch.empty_like(x)
    for tile_m, tile_n in hl.tile(grad.size()):
        g = grad[tile_m, tile_n].to(torch.float32)
        a, b = x[tile_m, tile_n].to(torch.float32), x[tile_m, tile_n + n].to(torch.float32)
        s = torch.sigmoid(a)
        dx[tile_m, tile_n] = (g * b * s * (1 + a * (1 - s))).to(x.dtype)
        dx[tile_m, tile_n + n] = (g * a * s).to(x.dtype)
    return dx


def reference(x: torch.Tensor) -> torch.Tensor:
    a, b = x.chunk(2, dim=1)
    return torch.nn.functional.silu(a) * b


def reference_gradient(grad: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    x.requires_grad_()
    return torch.autograd.grad(reference(x), x, grad)[0]


def _cases(device: str, dtype: torch.dtype, rows: int, n: int) -> Iterator[Case]:
    grad, x = torch.randn(rows, n, device=device, dtype=dtype), torch.randn(rows, 2 * n, device=device, dtype=dtype)
    yield Case(f"forward, {rows}x{n}", swiglu, (x,), reference)
    yield Case(f"backward, {rows}x{n}", swiglu_backward, (grad, x), reference_gradient)


def cases(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield from _cases(device, dtype, 19, 70)


def typical(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield from _cases(device, dtype, 8192, 8192)


if __name__ == "__main__":
    main()
