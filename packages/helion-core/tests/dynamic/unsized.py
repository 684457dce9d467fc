"""Kernels for all sizes, and what they must compute."""

from __future__ import annotations

import torch

import helion
import helion.language as hl


def kernel(function):
    return helion.kernel(function, use_default_config=True, static_shapes=False)


@kernel
def add(x, y):
    m, n = x.size()
    out = torch.empty_like(x)
    for tile_m, tile_n in hl.tile([m, n]):
        out[tile_m, tile_n] = x[tile_m, tile_n] + y[tile_m, tile_n]
    return out


@kernel
def softmax(x):
    n, _m = x.size()
    out = torch.empty_like(x)
    for tile in hl.tile(n):
        values = x[tile, :]
        weights = torch.exp(values - values.amax(1, keepdim=True))
        out[tile, :] = weights / weights.sum(1, keepdim=True)
    return out


@kernel
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


@kernel
def layer_norm(x, weight, bias):
    m, n = x.size()
    out = torch.empty_like(x)
    for tile in hl.tile(m):
        row = x[tile, :]
        centred = row - row.mean(1, keepdim=True)
        variance = (centred * centred).mean(1, keepdim=True)
        out[tile, :] = centred * torch.rsqrt(variance + 1e-5) * weight[:] + bias[:]
    return out


@kernel
def attention(q, k, v):
    b, m, d = q.size()
    n = k.size(1)
    d = hl.specialize(d)
    out = torch.empty_like(q)
    for tile_b, tile_m in hl.tile([b, m]):
        high = hl.full([tile_b, tile_m], float("-inf"), dtype=torch.float32)
        total = hl.full([tile_b, tile_m], 1.0, dtype=torch.float32)
        acc = hl.zeros([tile_b, tile_m, d], dtype=torch.float32)
        queries = q[tile_b, tile_m, :]
        for tile_n in hl.tile(n):
            scores = torch.bmm(queries, k[tile_b, tile_n, :].transpose(1, 2))
            new_high = torch.maximum(high, torch.amax(scores, -1))
            weights = torch.exp(scores - new_high[:, :, None])
            correction = torch.exp(high - new_high)
            total = total * correction + torch.sum(weights, -1)
            acc = torch.baddbmm(acc * correction[:, :, None], weights.to(v.dtype), v[tile_b, tile_n, :])
            high = new_high
        out[tile_b, tile_m, :] = acc / total[:, :, None]
    return out


def layer_norm_reference(x, weight, bias):
    centred = x - x.mean(1, keepdim=True)
    return centred * torch.rsqrt((centred * centred).mean(1, keepdim=True) + 1e-5) * weight + bias
