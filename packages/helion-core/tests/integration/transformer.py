"""A transformer block whose norms, projections, softmax and activation are kernels, as operators with gradients.

x = x + softmax(q k' / sqrt(d)) v W_o, q, k, v = rms_norm(x) W_q, W_k, W_v
x = x + swiglu(rms_norm(x) W_up) W_down
"""

from __future__ import annotations

import torch
from torch import Tensor

import helion
import helion.language as hl

kernel = helion.kernel(autotune_effort="none", dot_precision="ieee")


@kernel
def matmul(x: Tensor, y: Tensor) -> Tensor:
    m, k = x.size()
    k, n = y.size()
    out = torch.empty([m, n], dtype=x.dtype, device=x.device)
    for tile_m, tile_n in hl.tile([m, n]):
        acc = hl.zeros([tile_m, tile_n], dtype=torch.float32)
        for tile_k in hl.tile(k):
            acc = torch.addmm(acc, x[tile_m, tile_k], y[tile_k, tile_n])
        out[tile_m, tile_n] = acc
    return out


@kernel
def rms_norm(x: Tensor, weight: Tensor, eps: float = 1e-6) -> tuple[Tensor, Tensor]:
    out = torch.empty_like(x)
    inverse = torch.empty([x.size(0)], dtype=torch.float32, device=x.device)
    for tile in hl.tile(x.size(0)):
        row = x[tile, :].to(torch.float32)
        r = torch.rsqrt(torch.mean(row * row, dim=-1) + eps)
        out[tile, :] = (row * r[:, None] * weight[:].to(torch.float32)).to(x.dtype)
        inverse[tile] = r
    return out, inverse


@kernel
def rms_norm_backward(grad: Tensor, x: Tensor, weight: Tensor, inverse: Tensor) -> tuple[Tensor, Tensor]:
    m, n = x.size()
    share = hl.register_block_size(m)
    dx = torch.empty_like(x)
    dweight = torch.empty([(m + share - 1) // share, n], dtype=torch.float32, device=x.device)
    for rows in hl.tile(m, block_size=share):
        total = hl.zeros([n], dtype=torch.float32)
        for tile in hl.tile(rows.begin, rows.end):
            row, g = x[tile, :].to(torch.float32), grad[tile, :].to(torch.float32)
            r = inverse[tile, None]
            weighted = g * weight[:].to(torch.float32)
            dx[tile, :] = (r * (weighted - row * r * r * (weighted * row).mean(-1, keepdim=True))).to(x.dtype)
            total += (g * row * r).sum(0)
        dweight[rows.id, :] = total
    return dx, dweight.sum(0).to(weight.dtype)


@kernel
def softmax(x: Tensor) -> Tensor:
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile, :] = torch.softmax(x[tile, :].to(torch.float32), dim=-1).to(x.dtype)
    return out


@kernel
def softmax_backward(grad: Tensor, y: Tensor) -> Tensor:
    dx = torch.empty_like(y)
    for tile in hl.tile(y.size(0)):
        p, g = y[tile, :].to(torch.float32), grad[tile, :].to(torch.float32)
        dx[tile, :] = (p * (g - (p * g).sum(-1, keepdim=True))).to(y.dtype)
    return dx


@kernel
def swiglu(x: Tensor) -> Tensor:
    rows, n = x.size(0), x.size(1) // 2
    a, b = x[:, :n], x[:, n:]
    out = torch.empty([rows, n], dtype=x.dtype, device=x.device)
    for tile in hl.tile(out.size()):
        out[tile] = (torch.nn.functional.silu(a[tile].to(torch.float32)) * b[tile]).to(x.dtype)
    return out


@kernel
def swiglu_backward(grad: Tensor, x: Tensor) -> Tensor:
    n = grad.size(1)
    dx = torch.empty_like(x)
    for tile_m, tile_n in hl.tile(grad.size()):
        g = grad[tile_m, tile_n].to(torch.float32)
        a, b = x[tile_m, tile_n].to(torch.float32), x[tile_m, tile_n + n].to(torch.float32)
        s = torch.sigmoid(a)
        dx[tile_m, tile_n] = (g * b * s * (1 + a * (1 - s))).to(x.dtype)
        dx[tile_m, tile_n + n] = (g * a * s).to(x.dtype)
    return dx


# --- operators


def _keep_inputs(ctx, inputs, output):
    ctx.save_for_backward(*inputs)


def _matmul_gradients(ctx, grad):
    x, y = ctx.saved_tensors
    return matmul(grad, y.t()), matmul(x.t(), grad)


def _rms_norm_setup(ctx, inputs, output):
    x, weight, _ = inputs
    ctx.save_for_backward(x, weight, output[1])


def _rms_norm_gradients(ctx, grad, _):
    x, weight, inverse = ctx.saved_tensors
    return *rms_norm_backward(grad, x, weight, inverse), None


def _keep_output(ctx, inputs, output):
    ctx.save_for_backward(output)


matmul_op = matmul.as_op("helion_tests::matmul", backward=_matmul_gradients, setup_context=_keep_inputs)
rms_norm_op = rms_norm.as_op("helion_tests::rms_norm", backward=_rms_norm_gradients, setup_context=_rms_norm_setup)
softmax_op = softmax.as_op(
    "helion_tests::softmax",
    backward=lambda ctx, grad: softmax_backward(grad, *ctx.saved_tensors),
    setup_context=_keep_output,
)
swiglu_op = swiglu.as_op(
    "helion_tests::swiglu",
    backward=lambda ctx, grad: swiglu_backward(grad, *ctx.saved_tensors),
    setup_context=_keep_inputs,
)


# --- the block


class Block(torch.nn.Module):
    """Input and output: [tokens, width]. With `kernels` False, the same in torch alone."""

    def __init__(self, width: int, heads: int, hidden: int, kernels: bool = True) -> None:
        super().__init__()
        self.heads, self.kernels = heads, kernels
        shapes = {"q": (width, width), "k": (width, width), "v": (width, width), "o": (width, width),
                  "up": (width, 2 * hidden), "down": (hidden, width)}  # fmt: skip
        self.weights = torch.nn.ParameterDict(
            {name: torch.nn.Parameter(torch.randn(shape) * shape[0] ** -0.5) for name, shape in shapes.items()}
        )
        self.norms = torch.nn.ParameterList([torch.nn.Parameter(1 + 0.1 * torch.randn(width)) for _ in range(2)])

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.project(self.attention(self.norm(x, 0)), "o")
        return x + self.project(self.activate(self.project(self.norm(x, 1), "up")), "down")

    def attention(self, x: Tensor) -> Tensor:
        tokens = x.size(0)
        q, k, v = (self.project(x, n).view(tokens, self.heads, -1).transpose(0, 1) for n in "qkv")
        scores = torch.bmm(q, k.transpose(1, 2)) * q.size(-1) ** -0.5
        flat = scores.reshape(-1, tokens)
        share = (softmax_op(flat) if self.kernels else flat.softmax(-1)).view_as(scores)
        return torch.bmm(share, v).transpose(0, 1).reshape(tokens, -1)

    def norm(self, x: Tensor, at: int) -> Tensor:
        if self.kernels:
            return rms_norm_op(x, self.norms[at])[0]
        return torch.nn.functional.rms_norm(x, x.shape[1:], self.norms[at], 1e-6)

    def project(self, x: Tensor, name: str) -> Tensor:
        return matmul_op(x, self.weights[name]) if self.kernels else x @ self.weights[name]

    def activate(self, x: Tensor) -> Tensor:
        if self.kernels:
            return swiglu_op(x)
        a, b = x.chunk(2, dim=1)
        return torch.nn.functional.silu(a) * b


def twins(width: int, heads: int, hidden: int, device: str, dtype: torch.dtype) -> tuple[Block, Block]:
    """A block of kernels, and one with the same weights in float64 and torch alone."""
    torch.manual_seed(0)
    ours, theirs = Block(width, heads, hidden), Block(width, heads, hidden, kernels=False)
    theirs.load_state_dict(ours.state_dict())
    ours = ours.to(device, dtype)
    return ours, theirs.to(device, torch.float64)
