"""Matrix product out = x @ y, and with an epilogue: out = epilogue(x @ y), the epilogue being any function of the
accumulator.

The epilogue is called with the float32 accumulator and the two tiles; what it captures (a bias, a residual) is read
on the device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from _harness import Case, main

import helion
import helion.language as hl


@helion.kernel()
def matmul(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    m, n, k = x.size(0), y.size(1), x.size(1)
    out = torch.empty([m, n], dtype=torch.promote_types(x.dtype, y.dtype), device=x.device)
    for tile_m, tile_n in hl.tile([m, n]):
        acc = hl.zeros([tile_m, tile_n], dtype=torch.float32)
        for tile_k in hl.tile(k):
            acc = torch.addmm(acc, x[tile_m, tile_k], y[tile_k, tile_n])
        out[tile_m, tile_n] = acc
    return out


@helion.kernel()
def matmul_with_epilogue(x: torch.Tensor, y: torch.Tensor, epilogue: Callable[..., Any]) -> torch.Tensor:
    m, n, k = x.size(0), y.size(1), x.size(1)
    out = torch.empty([m, n], dtype=x.dtype, device=x.device)
    for tile_m, tile_n in hl.tile([m, n]):
        acc = hl.zeros([tile_m, tile_n], dtype=torch.float32)
        for tile_k in hl.tile(k):
            acc = torch.addmm(acc, x[tile_m, tile_k], y[tile_k, tile_n])
        out[tile_m, tile_n] = epilogue(acc, (tile_m, tile_n)).to(x.dtype)
    return out


def matmul_bias(x: torch.Tensor, y: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    return matmul_with_epilogue(x, y, lambda acc, tile: acc + bias[tile[1]])


def matmul_gelu(x: torch.Tensor, y: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    return matmul_with_epilogue(x, y, lambda acc, tile: torch.nn.functional.gelu(acc + bias[tile[1]]))


def matmul_residual(x: torch.Tensor, y: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
    def add_residual(acc: torch.Tensor, tile: tuple[Any, Any]) -> torch.Tensor:
        return torch.relu(acc) + residual[tile]

    return matmul_with_epilogue(x, y, add_residual)


def reference(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return x @ y


def reference_bias(x: torch.Tensor, y: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    return x @ y + bias


def reference_gelu(x: torch.Tensor, y: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.gelu(x @ y + bias)


def reference_residual(x: torch.Tensor, y: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
    return torch.relu(x @ y) + residual


DTYPES = (torch.float32, torch.float16, torch.bfloat16)


def _cases(device: str, dtype: torch.dtype, m: int, n: int, k: int) -> Iterator[Case]:
    x, y = torch.randn(m, k, device=device, dtype=dtype), torch.randn(k, n, device=device, dtype=dtype) / k**0.5
    bias, residual = torch.randn(n, device=device, dtype=dtype), torch.randn(m, n, device=device, dtype=dtype)
    name = f"{m}x{n}x{k}"
    yield Case(name, matmul, (x, y), reference)
    yield Case(f"y transposed, {name}", matmul, (x, y.t().contiguous().t()), reference)
    yield Case(f"bias, {name}", matmul_bias, (x, y, bias), reference_bias)
    yield Case(f"bias and gelu, {name}", matmul_gelu, (x, y, bias), reference_gelu)
    yield Case(f"relu and residual, {name}", matmul_residual, (x, y, residual), reference_residual)


def cases(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield from _cases(device, dtype, 70, 90, 50)


def typical(device: str, dtype: torch.dtype) -> Iterator[Case]:
    yield from _cases(device, dtype, 4096, 4096, 4096)


if __name__ == "__main__":
    main()
