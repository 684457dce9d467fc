"""What the compiler writes for a few kernels, whole; read the difference when it changes."""

import math

import pytest
import torch

import helion
import helion.language as hl


@helion.kernel()
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


@helion.kernel()
def softmax(x: torch.Tensor) -> torch.Tensor:
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile, :] = torch.softmax(x[tile, :], dim=1)
    return out


@helion.kernel()
def layer_norm(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, eps: float = 1e-5) -> torch.Tensor:
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        row = x[tile, :].to(torch.float32)
        mean = row.mean(dim=-1, keepdim=True)
        centred = row - mean
        variance = (centred * centred).mean(dim=-1, keepdim=True)
        out[tile, :] = centred * torch.rsqrt(variance + eps) * weight[:] + bias[:]
    return out


@helion.kernel()
def attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    batch, m, d = q.size()
    out = torch.empty_like(q)
    scale = 1.4426950408889634 / math.sqrt(d)
    keys = k.transpose(1, 2)
    for tile_b, tile_m in hl.tile([batch, m]):
        high = hl.full([tile_b, tile_m], float("-inf"), dtype=torch.float32)
        total = torch.full_like(high, 1.0)
        acc = hl.zeros([tile_b, tile_m, d], dtype=torch.float32)
        queries = q[tile_b, tile_m, :]
        for tile_n in hl.tile(k.size(1)):
            scores = torch.bmm(queries, keys[tile_b, :, tile_n])
            new_high = torch.maximum(high, torch.amax(scores, -1) * scale)
            weights = torch.exp2(scores * scale - new_high[:, :, None])
            correction = torch.exp2(high - new_high)
            total = total * correction + torch.sum(weights, -1)
            values = v[tile_b, tile_n, :]
            acc = torch.baddbmm(acc * correction[:, :, None], weights.to(values.dtype), values)
            high = new_high
        out[tile_b, tile_m, :] = acc / total[:, :, None]
    return out


def bfloat16(*shape: int) -> torch.Tensor:
    return torch.empty(shape, dtype=torch.bfloat16)


LAUNCH = {"num_warps": 4, "num_stages": 2}
CASES = {
    "matmul": (matmul, (bfloat16(512, 256), bfloat16(256, 512)), {"block_sizes": [64, 128, 32], **LAUNCH}),
    "matmul_odd_grouped": (
        matmul,
        (torch.empty(130, 70), torch.empty(70, 50)),
        {"block_sizes": [32, 16, 32], "loop_orders": [[1, 0]], "l2_groupings": [4], **LAUNCH},
    ),
    "softmax": (softmax, (bfloat16(1000, 300),), {"block_sizes": [4], "reduction_loops": [None], **LAUNCH}),
    "layer_norm": (
        layer_norm,
        (bfloat16(1000, 300), bfloat16(300), bfloat16(300), 1e-5),
        {"block_sizes": [4], "reduction_loops": [None], **LAUNCH},
    ),
    "attention": (
        attention,
        (bfloat16(8, 500, 64), bfloat16(8, 600, 64), bfloat16(8, 600, 64)),
        {"block_sizes": [1, 64, 64], **LAUNCH},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_generated_code(name, golden):
    kernel, args, config = CASES[name]
    bound = kernel.bind(args)
    compile(bound.to_triton_code(config), name, "exec")
    golden(f"{name}.py", bound.to_triton_code(config))
