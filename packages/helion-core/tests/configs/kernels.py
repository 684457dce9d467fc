"""Kernels of many shapes, each with a reference in float64, for tests that vary the config."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

import helion
import helion.language as hl
from helion.lower.access import has_block_pointers  # noqa: F401 - for the tests

HALF_TOLERANCE = {torch.float32: 2e-5, torch.bfloat16: 4e-2, torch.float16: 5e-3}


@helion.kernel()
def matmul(x, y):
    m, k = x.size()
    k, n = y.size()
    out = torch.empty([m, n], dtype=x.dtype, device=x.device)
    for tile_m, tile_n in hl.tile([m, n]):
        acc = hl.zeros([tile_m, tile_n], dtype=torch.float32)
        for tile_k in hl.tile(k):
            acc = torch.addmm(acc, x[tile_m, tile_k], y[tile_k, tile_n])
        out[tile_m, tile_n] = acc
    return out


@helion.kernel()
def matmul_bias_relu(x, y, bias):
    m, k = x.size()
    n = y.size(0)
    out = torch.empty([m, n], dtype=x.dtype, device=x.device)
    for tile_m, tile_n in hl.tile([m, n]):
        acc = hl.zeros([tile_m, tile_n], dtype=torch.float32)
        for tile_k in hl.tile(k):
            acc = torch.addmm(acc, x[tile_m, tile_k], y[tile_n, tile_k].T)
        out[tile_m, tile_n] = torch.relu(acc + bias[tile_n].to(torch.float32)) * 0.5
    return out


@helion.kernel()
def batched(x, y):
    b, m, k = x.size()
    n = y.size(2)
    out = torch.empty([b, m, n], dtype=x.dtype, device=x.device)
    for tile_b, tile_m, tile_n in hl.tile([b, m, n]):
        acc = hl.zeros([tile_b, tile_m, tile_n], dtype=torch.float32)
        for tile_k in hl.tile(k):
            acc = torch.baddbmm(acc, x[tile_b, tile_m, tile_k], y[tile_b, tile_k, tile_n])
        out[tile_b, tile_m, tile_n] = acc
    return out


@helion.kernel()
def softmax(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile, :] = torch.softmax(x[tile, :].to(torch.float32), dim=1).to(x.dtype)
    return out


@helion.kernel()
def layer_norm(x, w, b):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        row = x[tile, :].to(torch.float32)
        var, mean = torch.var_mean(row, dim=-1, keepdim=True, correction=0)
        y = (row - mean) * torch.rsqrt(var + 1e-5)
        out[tile, :] = (y * w[:].to(torch.float32) + b[:].to(torch.float32)).to(x.dtype)
    return out


@helion.kernel()
def extremes(x):
    where = torch.empty([x.size(0)], dtype=torch.int64, device=x.device)
    spread = torch.empty([x.size(0)], dtype=torch.float32, device=x.device)
    for tile in hl.tile(x.size(0)):
        row = x[tile, :].to(torch.float32)
        where[tile] = torch.argmax(row, -1)
        spread[tile] = row.amax(1) - row.amin(1)
    return where, spread


@helion.kernel()
def column_sum(x):
    out = torch.empty([x.size(1)], dtype=torch.float32, device=x.device)
    for tile_n in hl.tile(x.size(1)):
        acc = hl.zeros([tile_n], dtype=torch.float32)
        for tile_m in hl.tile(x.size(0)):
            acc = acc + x[tile_m, tile_n].to(torch.float32).sum(0)
        out[tile_n] = acc
    return out


@helion.kernel()
def attention(q, k, v):
    b, m, d = q.size()
    n = k.size(1)
    keys = k.transpose(1, 2)
    out = torch.empty_like(q)
    scale = 1.44269504 / math.sqrt(d)
    for tile_b, tile_m in hl.tile([b, m]):
        top = hl.full([tile_b, tile_m], float("-inf"), dtype=torch.float32)
        total = torch.full_like(top, 1.0)
        acc = hl.zeros([tile_b, tile_m, d], dtype=torch.float32)
        queries = q[tile_b, tile_m, :]
        for tile_n in hl.tile(n):
            scores = hl.dot(queries, keys[tile_b, :, tile_n]) * scale
            new = torch.maximum(top, torch.amax(scores, -1))
            p = torch.exp2(scores - new[:, :, None])
            alpha = torch.exp2(top - new)
            total = total * alpha + p.sum(-1)
            acc = torch.baddbmm(acc * alpha[:, :, None], p.to(v.dtype), v[tile_b, tile_n, :])
            top = new
        out[tile_b, tile_m, :] = (acc / total[:, :, None]).to(out.dtype)
    return out


def _attention_reference(q, k, v):
    scores = q @ k.transpose(1, 2) / math.sqrt(q.size(-1))
    # the running total starts at 1 beside a maximum of -inf, which counts for nothing
    return torch.softmax(scores, -1) @ v


@helion.kernel()
def add(x, y):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size()):
        out[tile] = x[tile] + y[tile] * 2
    return out


@helion.kernel()
def transpose(x):
    out = torch.empty([x.size(1), x.size(0)], dtype=x.dtype, device=x.device)
    for tile_m, tile_n in hl.tile([x.size(0), x.size(1)]):
        out[tile_n, tile_m] = x[tile_m, tile_n].T
    return out


@helion.kernel()
def stencil(x):
    out = torch.empty_like(x)
    for tile_m, tile_n in hl.tile([x.size(0), x.size(1)]):
        out[tile_m, tile_n] = x[tile_m, tile_n - 1] + x[tile_m, tile_n] + x[tile_m, tile_n + 1]
    return out


@helion.kernel()
def partial(x, n: int):
    out = torch.zeros_like(x)
    for tile in hl.tile(8, 29):
        acc = hl.zeros([tile], dtype=torch.float32)
        for inner in hl.tile(3, 21):
            acc = acc + (x[tile, inner] + 1).sum(1)
        out[tile, n] = acc
    return out


def _partial_reference(x, n):
    out = torch.zeros_like(x)
    out[8:29, n] = (x[8:29, 3:21] + 1).sum(1)
    return out


@helion.kernel()
def jagged(values, offsets):
    out = torch.empty([offsets.size(0) - 1], dtype=torch.float32, device=values.device)
    for i in hl.grid(offsets.size(0) - 1):
        begin, end = offsets[i], offsets[i + 1]
        acc = hl.zeros([], dtype=torch.float32)
        for tile in hl.tile(begin, end):
            acc = acc + (values[tile] + 1).sum()
        out[i] = acc
    return out


def _jagged_reference(values, offsets):
    parts = [values[a:b] for a, b in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)]
    return torch.stack([(part + 1).sum() for part in parts])


@helion.kernel()
def gather(table, index):
    out = torch.empty([index.size(0), table.size(1)], dtype=table.dtype, device=table.device)
    for tile in hl.tile(index.size(0)):
        out[tile, :] = table[index[tile], :]
    return out


@helion.kernel()
def in_place(x, y):
    for tile_m, tile_n in hl.tile([x.size(0), x.size(1)]):
        x[tile_m, tile_n] = x[tile_m, tile_n] * 0.5 + y[tile_n]
    return x


@helion.kernel()
def nested(x, y):
    out = torch.empty([x.size(0)], dtype=torch.float32, device=x.device)
    for tile in hl.tile(x.size(0)):
        acc = hl.zeros([tile], dtype=torch.float32)
        for tile_a, tile_b in hl.tile([y.size(0), y.size(1)]):
            acc = acc + (x[tile, tile_a][:, :, None] * y[tile_a, tile_b][None, :, :]).sum(-1).sum(-1)
        out[tile] = acc
    return out


@helion.kernel()
def side_by_side(x, y):
    a, b = torch.empty_like(x), torch.empty_like(y)
    for tile in hl.tile(x.size(0)):
        a[tile] = x[tile] * 2
    for tile_m, tile_n in hl.tile([y.size(0), y.size(1)]):
        b[tile_m, tile_n] = y[tile_m, tile_n] + 1
    return a, b


@dataclass(frozen=True)
class Case:
    """A kernel with arguments to try and what it must compute. `args(random, dtype)` makes them; sizes are odd."""

    kernel: Any
    args: Callable[[Callable[..., torch.Tensor]], tuple[Any, ...]]
    reference: Callable[..., Any]
    dtypes: tuple[torch.dtype, ...] = (torch.float32,)

    @property
    def name(self) -> str:
        return self.kernel.name

    def make(self, seed: int, dtype: torch.dtype, resized: Callable[[int], int] = lambda size: size) -> tuple[Any, ...]:
        """Arguments; `resized` gives every size of a random tensor another."""
        generator = torch.Generator().manual_seed(seed)

        def random(*size: int) -> torch.Tensor:
            size = tuple(map(resized, size))
            return torch.randn(size, generator=generator).to(dtype)

        return self.args(random)

    def expected(self, args: tuple[Any, ...]) -> tuple[torch.Tensor, ...]:
        wide = [a.double() if isinstance(a, torch.Tensor) and a.is_floating_point() else a for a in args]
        return as_tuple(self.reference(*wide))


def as_tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


F32, BF16 = torch.float32, torch.bfloat16
CASES = (
    Case(matmul, lambda r: (r(50, 72), r(72, 88)), lambda x, y: x @ y, (F32, BF16)),
    Case(
        matmul_bias_relu, lambda r: (r(40, 56), r(88, 56), r(88)), lambda x, y, b: torch.relu(x @ y.T + b) * 0.5,
        (F32, BF16),
    ),
    Case(batched, lambda r: (r(3, 33, 24), r(3, 24, 40)), lambda x, y: x @ y),
    Case(softmax, lambda r: (r(11, 100),), lambda x: torch.softmax(x, 1), (F32, BF16)),
    Case(
        layer_norm, lambda r: (r(9, 136), r(136), r(136)), lambda x, w, b: F.layer_norm(x, [136], w, b), (F32, BF16)
    ),
    Case(extremes, lambda r: (r(9, 77),), lambda x: (x.argmax(1), x.amax(1) - x.amin(1))),
    Case(column_sum, lambda r: (r(67, 40),), lambda x: x.sum(0), (F32, BF16)),
    Case(attention, lambda r: (r(2, 37, 32), r(2, 51, 32), r(2, 51, 32)), _attention_reference, (F32, BF16)),
    Case(add, lambda r: (r(37, 88), r(37, 88)), lambda x, y: x + y * 2, (F32, BF16)),
    Case(add, lambda r: (r(5, 6, 28), r(6, 5, 28).transpose(0, 1)), lambda x, y: x + y * 2),
    Case(transpose, lambda r: (r(37, 80),), lambda x: x.T.contiguous(), (F32, BF16)),
    Case(stencil, lambda r: (r(13, 60),), lambda x: x + F.pad(x, (1, 0))[:, :-1] + F.pad(x, (0, 1))[:, 1:]),
    Case(partial, lambda r: (r(32, 24), 5), _partial_reference),
    Case(jagged, lambda r: (r(70), torch.tensor([0, 3, 3, 40, 70])), _jagged_reference),
    Case(gather, lambda r: (r(20, 36), torch.arange(17) * 7 % 20), lambda t, i: t[i]),
    Case(in_place, lambda r: (r(21, 52), r(52)), lambda x, y: x * 0.5 + y),
    Case(nested, lambda r: (r(19, 23), r(23, 30)), lambda x, y: (x[:, :, None] * y[None]).sum((1, 2))),
    Case(side_by_side, lambda r: (r(45), r(12, 33)), lambda x, y: (x * 2, y + 1)),
)  # fmt: skip
