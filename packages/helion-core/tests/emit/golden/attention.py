import torch
import triton
import triton.language as tl


@triton.jit
def _max(a, b):
    return tl.maximum(a, b, tl.PropagateNan.ALL)


@triton.jit
def _helion_attention(q, keys, v, out):
    BLOCK_B: tl.constexpr = 1
    BLOCK_M: tl.constexpr = 64
    BLOCK_N: tl.constexpr = 64
    index_dim_64 = tl.arange(0, 64)
    pid = tl.program_id(0)
    pid_m = pid % 8
    pid_rest = pid // 8
    offset_b = pid_rest
    offset_m = pid_m * BLOCK_M
    index_m = offset_m + tl.arange(0, BLOCK_M)
    mask_m = index_m < 500
    # test_golden.py:52: high = hl.full([tile_b, tile_m], float("-inf"), dtype=torch.float32)
    high = tl.full([BLOCK_M], float('-inf'), tl.float32)
    # test_golden.py:53: total = torch.full_like(high, 1.0)
    total = tl.full([BLOCK_M], 1.0, tl.float32)
    # test_golden.py:54: acc = hl.zeros([tile_b, tile_m, d], dtype=torch.float32)
    acc = tl.full([BLOCK_M, 64], 0.0, tl.float32)
    # test_golden.py:55: queries = q[tile_b, tile_m, :]
    queries = tl.load(q + offset_b * 32000 + (index_m[:, None] * 64 + index_dim_64[None, :]), mask=mask_m[:, None], other=0.0)
    # test_golden.py:56: for tile_n in hl.tile(k.size(1)):
    for offset_n in tl.range(0, 600, BLOCK_N):
        index_n = offset_n + tl.arange(0, BLOCK_N)
        mask_n = index_n < 600
        # test_golden.py:57: scores = torch.bmm(queries, keys[tile_b, :, tile_n])
        keys_tile = tl.load(keys + offset_b * 38400 + (index_dim_64[:, None] + index_n[None, :] * 64), mask=mask_n[None, :], other=0.0)
        dot = tl.dot(queries, keys_tile, out_dtype=tl.float32)
        scores = dot.to(tl.bfloat16)
        # test_golden.py:58: new_high = torch.maximum(high, torch.amax(scores, -1) * scale)
        v_1 = scores.to(tl.float32)
        v_1_masked = tl.where(mask_n[None, :], v_1, float('-inf'))
        max_1 = tl.reduce(v_1_masked, 1, _max)
        v_2 = max_1.to(tl.bfloat16)
        v_3 = (v_2.to(tl.float32) * 0.18033688011112042).to(tl.bfloat16)
        new_high = tl.maximum(high, v_3.to(tl.float32), tl.PropagateNan.ALL)
        # test_golden.py:59: weights = torch.exp2(scores * scale - new_high[:, :, None])
        v_4 = (scores.to(tl.float32) * 0.18033688011112042).to(tl.bfloat16)
        v_5 = v_4.to(tl.float32) - new_high[:, None]
        weights = tl.exp2(v_5)
        # test_golden.py:60: correction = torch.exp2(high - new_high)
        v_6 = high - new_high
        correction = tl.exp2(v_6)
        # test_golden.py:61: total = total * correction + torch.sum(weights, -1)
        v_7 = total * correction
        weights_masked = tl.where(mask_n[None, :], weights, 0.0)
        sum_1 = tl.sum(weights_masked, 1)
        total = v_7 + sum_1
        # test_golden.py:62: values = v[tile_b, tile_n, :]
        values = tl.load(v + offset_b * 38400 + (index_n[:, None] * 64 + index_dim_64[None, :]), mask=mask_n[:, None], other=0.0)
        # test_golden.py:63: acc = torch.baddbmm(acc * correction[:, :, None], weights.to(values.dtype), values)
        v_8 = acc * correction[:, None]
        v_9 = weights.to(tl.bfloat16)
        v_9_masked = tl.where(mask_n[None, :], v_9, 0.0)
        acc = tl.dot(v_9_masked, values, acc=v_8, out_dtype=tl.float32)
        high = new_high
    # test_golden.py:65: out[tile_b, tile_m, :] = acc / total[:, :, None]
    v_10 = acc / total[:, None]
    v_11 = v_10.to(tl.bfloat16)
    tl.store(out + offset_b * 32000 + (index_m[:, None] * 64 + index_dim_64[None, :]), v_11, mask=mask_m[:, None])


import math as math


def _launch(kernel, grid, *args, **options):
    kernel[grid](*args, **options)


def attention(q, k, v, *, _kernel=_helion_attention, _launch=_launch):
    batch, m, d = q.size()
    out = torch.empty_like(q)
    scale = 1.4426950408889634 / math.sqrt(d)
    keys = k.transpose(1, 2)
    _launch(_kernel, (64,), q, keys, v, out, num_warps=4, num_stages=2)
    return out
