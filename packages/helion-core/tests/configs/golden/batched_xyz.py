import triton
import triton.language as tl


@triton.jit
def _helion_batched(x, y, out):
    BLOCK_B: tl.constexpr = 1
    BLOCK_M: tl.constexpr = 16
    BLOCK_N: tl.constexpr = 16
    BLOCK_K: tl.constexpr = 16
    offset_b = tl.program_id(2)
    offset_m = tl.program_id(1) * BLOCK_M
    index_m = offset_m + tl.arange(0, BLOCK_M)
    mask_m = index_m < 33
    offset_n = tl.program_id(0) * BLOCK_N
    index_n = offset_n + tl.arange(0, BLOCK_N)
    mask_n = index_n < 40
    # kernels.py:52: acc = hl.zeros([tile_b, tile_m, tile_n], dtype=torch.float32)
    acc = tl.full([BLOCK_M, BLOCK_N], 0.0, tl.float32)
    # kernels.py:53: for tile_k in hl.tile(k):
    for offset_k in tl.range(0, 24, BLOCK_K):
        index_k = offset_k + tl.arange(0, BLOCK_K)
        mask_k = index_k < 24
        # kernels.py:54: acc = torch.baddbmm(acc, x[tile_b, tile_m, tile_k], y[tile_b, tile_k, tile_n])
        x_tile = tl.load(x + offset_b * 792 + (index_m[:, None] * 24 + index_k[None, :]), mask=mask_m[:, None] & mask_k[None, :], other=0.0)
        y_tile = tl.load(y + offset_b * 960 + (index_k[:, None] * 40 + index_n[None, :]), mask=mask_k[:, None] & mask_n[None, :], other=0.0)
        acc = tl.dot(x_tile, y_tile, acc=acc, input_precision='tf32', out_dtype=tl.float32)
    # kernels.py:55: out[tile_b, tile_m, tile_n] = acc
    tl.store(out + offset_b * 1320 + (index_m[:, None] * 40 + index_n[None, :]), acc, mask=mask_m[:, None] & mask_n[None, :])
