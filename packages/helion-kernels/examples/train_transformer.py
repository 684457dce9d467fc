"""A two-layer transformer of the Llama kind, trained twice: with torch's operations, and with those of helion-kernels.

python examples/train_transformer.py                 # on a GPU: 200 steps in bfloat16
HELION_KERNELS_CPU=interpret python examples/train_transformer.py --small --steps 3

Both start from the same weights and see the same data. Prints both loss curves and how far they are apart, and fails
where that is more than 2 %. The data are sequences in which most tokens have one fixed successor.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

import helion_kernels as hk


class Torch:
    """The operations as torch has them."""

    linear = staticmethod(functional.linear)

    @staticmethod
    def add_norm(x: Tensor, residual: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        total = x + residual
        return functional.rms_norm(total, weight.shape, weight, 1e-6), total

    @staticmethod
    def rope(q: Tensor, k: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
        def rotated(x: Tensor) -> Tensor:
            left, right = x.chunk(2, dim=-1)
            return torch.cat([left * cos - right * sin, right * cos + left * sin], dim=-1).to(x.dtype)

        return rotated(q), rotated(k)

    @staticmethod
    def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)

    @staticmethod
    def swiglu(gate: Tensor, up: Tensor) -> Tensor:
        return functional.silu(gate) * up

    @staticmethod
    def loss(x: Tensor, matrix: Tensor, labels: Tensor) -> Tensor:
        return functional.cross_entropy(functional.linear(x, matrix).flatten(0, -2).float(), labels.flatten())


class Helion:
    """The same from this package."""

    linear, rope, swiglu = staticmethod(hk.linear), staticmethod(hk.rope), staticmethod(hk.swiglu)

    @staticmethod
    def add_norm(x: Tensor, residual: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        return hk.rms_norm(x, weight.shape, weight, 1e-6, residual=residual)

    @staticmethod
    def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return hk.attention(q, k, v, is_causal=True, enable_gqa=True)

    @staticmethod
    def loss(x: Tensor, matrix: Tensor, labels: Tensor) -> Tensor:
        return hk.linear_cross_entropy(x, matrix, labels)


@dataclass(frozen=True)
class Sizes:
    vocabulary: int = 1024
    width: int = 512
    heads: int = 8
    key_heads: int = 2
    hidden: int = 1408
    length: int = 256
    batch: int = 16
    layers: int = 2


SMALL = Sizes(vocabulary=32, width=32, heads=2, key_heads=1, hidden=48, length=8, batch=2)


class Block(torch.nn.Module):
    def __init__(self, sizes: Sizes, ops: Any) -> None:
        super().__init__()
        self.sizes, self.ops = sizes, ops
        head = sizes.width // sizes.heads
        self.norms = torch.nn.ParameterList([torch.ones(sizes.width) for _ in range(2)])
        rows = {
            "qkv": ((sizes.heads + 2 * sizes.key_heads) * head, sizes.width), "out": (sizes.width, sizes.width),
            "gate": (sizes.hidden, sizes.width), "up": (sizes.hidden, sizes.width), "down": (sizes.width, sizes.hidden),
        }  # fmt: skip
        values = {name: torch.randn(size) * size[1] ** -0.5 for name, size in rows.items()}
        self.weights = torch.nn.ParameterDict(values)

    def forward(self, x: Tensor, residual: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
        """Returns what is to be added to the residual, and the residual."""
        ops, w, sizes = self.ops, self.weights, self.sizes
        y, residual = ops.add_norm(x, residual, self.norms[0])
        qkv = ops.linear(y, w["qkv"]).unflatten(-1, (-1, sizes.width // sizes.heads)).transpose(1, 2)
        q, k, v = qkv.split([sizes.heads, sizes.key_heads, sizes.key_heads], dim=1)
        q, k = ops.rope(q, k, cos, sin)
        mixed = ops.attention(q, k, v).transpose(1, 2).flatten(-2)
        y, residual = ops.add_norm(ops.linear(mixed, w["out"]), residual, self.norms[1])
        return ops.linear(ops.swiglu(ops.linear(y, w["gate"]), ops.linear(y, w["up"])), w["down"]), residual


class Model(torch.nn.Module):
    def __init__(self, sizes: Sizes, ops: Any) -> None:
        super().__init__()
        self.ops = ops
        self.embedding = torch.nn.Embedding(sizes.vocabulary, sizes.width)
        self.blocks = torch.nn.ModuleList([Block(sizes, ops) for _ in range(sizes.layers)])
        self.norm = torch.nn.Parameter(torch.ones(sizes.width))
        self.head = torch.nn.Parameter(torch.randn(sizes.vocabulary, sizes.width) * sizes.width**-0.5)
        half = sizes.width // sizes.heads // 2
        angle = torch.arange(sizes.length)[:, None] * 10000.0 ** (-torch.arange(half) / half)
        self.register_buffer("cos", angle.cos())
        self.register_buffer("sin", angle.sin())

    def forward(self, tokens: Tensor, labels: Tensor) -> Tensor:
        x = self.embedding(tokens)
        residual = torch.zeros_like(x)
        for block in self.blocks:
            x, residual = block(x, residual, self.cos, self.sin)
        x, _ = self.ops.add_norm(x, residual, self.norm)
        return self.ops.loss(x, self.head, labels)


def sequences(sizes: Sizes, step: int) -> Tensor:
    """[batch, length + 1]: the successor of every token is fixed, but one in ten is a random one."""
    successor = torch.randperm(sizes.vocabulary, generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(step)
    tokens = [torch.randint(sizes.vocabulary, (sizes.batch,), generator=generator)]
    for _ in range(sizes.length):
        noise = torch.randint(sizes.vocabulary, (sizes.batch,), generator=generator)
        noisy = torch.rand(sizes.batch, generator=generator) < 0.1
        tokens.append(torch.where(noisy, noise, successor[tokens[-1]]))
    return torch.stack(tokens, dim=1)


def train(ops: Any, sizes: Sizes, steps: int, device: str, dtype: torch.dtype) -> list[float]:
    """The loss of every step."""
    torch.manual_seed(0)
    model = Model(sizes, ops).to(device, dtype)
    model.cos, model.sin = model.cos.float(), model.sin.float()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    losses = []
    for step in range(steps):
        tokens = sequences(sizes, step).to(device)
        loss = model(tokens[:, :-1], tokens[:, 1:])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


def apart(left: list[float], right: list[float]) -> float:
    """The largest difference of two curves, each smoothed over five steps, as a part of the loss."""

    def smoothed(curve: list[float]) -> list[float]:
        parts = [curve[max(0, k - 4) : k + 1] for k in range(len(curve))]
        return [sum(part) / len(part) for part in parts]

    return max(abs(a - b) / a for a, b in zip(smoothed(left), smoothed(right), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--small", action="store_true", help="sizes for the interpreter, in float32")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    sizes, dtype = (SMALL, torch.float32) if options.small else (Sizes(), torch.bfloat16)
    curves = [train(ops, sizes, options.steps, options.device, dtype) for ops in (Torch, Helion)]
    print("step    torch   helion")
    for step, (left, right) in enumerate(zip(*curves, strict=True)):
        if step % max(1, options.steps // 20) == 0 or step == options.steps - 1:
            print(f"{step:4}  {left:7.4f}  {right:7.4f}")
    difference = apart(*curves)
    print(f"the curves are at most {100 * difference:.2f} % apart")
    sys.exit(difference > 0.02)


if __name__ == "__main__":
    main()
