"""GEGLU (Shazeer, "GLU variants improve transformer", 2020): out = gelu(a) * b, with the tanh form of gelu, and its
gradients.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from _harness import Case, main

import helion
import helion.language as hl


@helion.kernel()
def geglu(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    out = torch.empty_like(a)
    for tile in hl.tile(a.size()):
        gate = torch.nn.functional.gelu(a[tile].to(torch.float32), approximate="tanh")
        out[tile] = (gate * b[tile].to(torch.float32)).to(a.dtype)
    return out


@helion.kernel()
def geglu_backward(grad: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    da, db = torch.empty_like(a), torch.empty_like(b)
    root = math.sqrt(2 / math.pi)
    for tile in hl.tile(a.size()):
        g, x = grad[tile].to(torch.float32), a[tile].to(torch.float32)
        tanh = torch.tanh(root * (x + 0.044715 * x * x * x))
        slope = 0.5 * (1 + tanh) + 0.5 * x * (1 - tanh * tanh) * root * (1 + 3 * 0.044715 * x * x)
        da[tile] = (g * b[tile].to(torch.float32) * slope).to(a.dtype)
        db[tile] = (g * 0.5 * x * (1 + tanh)).to(b.dtype)
    return da, db


def reference(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.gelu(a, approximate="tanh") * b


def reference_gradients(grad: torch.Tensor, *args: torch.Tensor) -> tuple[torch.Tensor, ...]:
    inputs = [a.requires_grad_() for a in args]
    return torch.autograd.grad(reference(*inputs), inputs, grad)


def _cases(device: str, dtype: torch.dtype, *shape: int) -> Iterator[Case]:
    grad, a, b = (torch.randn(shape, device=device, dtype=dtype) for _ in range(3))
    name = "x".join(map(str, shape))
    yield Case(f"forward, {name}", geglu, (a, b), reference)
    yield Case(f"backward, {name}", geglu_backward, (grad, a, b), reference_gradients)


def cases(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield from _cases(device, dtype, 2, 19, 70)


def typical(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield from _cases(device, dtype, 8, 2048, 4096)


if __name__ == "__main__":
    main()
