import triton
import triton.language as tl


@triton.jit
def _max(a, b):
    return tl.maximum(a, b, tl.PropagateNan.ALL)


@triton.jit
def _helion_attention(q, keys, v, out):
    BLOCK_B: tl.constexpr = 1
    BLOCK_M: tl.constexpr = 32
    BLOCK_N: tl.constexpr = 16
    index_dim_32 = tl.arange(0, 32)
    pid = tl.program_id(0)
    pid_m = pid % 2
    pid_rest = pid // 2
    offset_b = pid_rest
    offset_m = pid_m * BLOCK_M
    index_m = offset_m + tl.arange(0, BLOCK_M)
    mask_m = index_m < 37
    # kernels.py:108: top = hl.full([tile_b, tile_m], float("-inf"), dtype=torch.float32)
    top = tl.full([BLOCK_M], float('-inf'), tl.float32)
    # kernels.py:109: total = torch.full_like(top, 1.0)
    total = tl.full([BLOCK_M], 1.0, tl.float32)
    # kernels.py:110: acc = hl.zeros([tile_b, tile_m, d], dtype=torch.float32)
    acc = tl.full([BLOCK_M, 32], 0.0, tl.float32)
    # kernels.py:111: queries = q[tile_b, tile_m, :]
    queries = tl.load(q + offset_b * 1184 + (index_m[:, None] * 32 + index_dim_32[None, :]), mask=mask_m[:, None], other=0.0)
    # kernels.py:112: for tile_n in hl.tile(n):
    for offset_n in tl.range(0, 51, BLOCK_N):
        index_n = offset_n + tl.arange(0, BLOCK_N)
        mask_n = index_n < 51
        # kernels.py:113: scores = hl.dot(queries, keys[tile_b, :, tile_n]) * scale
        keys_tile = tl.load(keys + offset_b * 1632 + (index_dim_32[:, None] + index_n[None, :] * 32), mask=mask_n[None, :], other=0.0)
        dot = tl.dot(queries, keys_tile, input_precision='tf32', out_dtype=tl.float32)
        scores = dot * 0.25503486149204935
        # kernels.py:114: new = torch.maximum(top, torch.amax(scores, -1))
        scores_masked = tl.where(mask_n[None, :], scores, float('-inf'))
        max_1 = tl.reduce(scores_masked, 1, _max)
        new = tl.maximum(top, max_1, tl.PropagateNan.ALL)
        # kernels.py:115: p = torch.exp2(scores - new[:, :, None])
        v_1 = scores - new[:, None]
        p = tl.exp2(v_1)
        # kernels.py:116: alpha = torch.exp2(top - new)
        v_2 = top - new
        alpha = tl.exp2(v_2)
        # kernels.py:117: total = total * alpha + p.sum(-1)
        v_3 = total * alpha
        p_masked = tl.where(mask_n[None, :], p, 0.0)
        sum_1 = tl.sum(p_masked, 1)
        total = v_3 + sum_1
        # kernels.py:118: acc = torch.baddbmm(acc * alpha[:, :, None], p.to(v.dtype), v[tile_b, tile_n, :])
        v_4 = acc * alpha[:, None]
        v_tile = tl.load(v + offset_b * 1632 + (index_n[:, None] * 32 + index_dim_32[None, :]), mask=mask_n[:, None], other=0.0)
        acc = tl.dot(p_masked, v_tile, acc=v_4, input_precision='tf32', out_dtype=tl.float32)
        top = new
    # kernels.py:120: out[tile_b, tile_m, :] = (acc / total[:, :, None]).to(out.dtype)
    v_5 = acc / total[:, None]
    tl.store(out + offset_b * 1184 + (index_m[:, None] * 32 + index_dim_32[None, :]), v_5, mask=mask_m[:, None])
