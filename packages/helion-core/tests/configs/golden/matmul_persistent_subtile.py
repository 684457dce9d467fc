import triton
import triton.language as tl


@triton.jit
def _helion_matmul(x, y, out):
    BLOCK_M: tl.constexpr = 16
    BLOCK_N: tl.constexpr = 64
    BLOCK_K: tl.constexpr = 16
    total = 4 * 2
    for pid in tl.range(tl.program_id(0), total, tl.num_programs(0)):
        pid_n = pid % 2
        pid_rest = pid // 2
        offset_m = pid_rest * BLOCK_M
        index_m = offset_m + tl.arange(0, BLOCK_M)
        mask_m = index_m < 50
        offset_n = pid_n * BLOCK_N
        index_n = offset_n + tl.arange(0, BLOCK_N)
        mask_n = index_n < 88
        index_n_0 = offset_n + tl.arange(0, 32)
        mask_n_0 = index_n_0 < 88
        index_n_1 = offset_n + (BLOCK_N // 2) + tl.arange(0, 32)
        mask_n_1 = index_n_1 < 88
        # kernels.py:26: acc = hl.zeros([tile_m, tile_n], dtype=torch.float32)
        acc = tl.full([BLOCK_M, BLOCK_N], 0.0, tl.float32)
        # kernels.py:27: for tile_k in hl.tile(k):
        for offset_k in tl.range(0, 72, BLOCK_K):
            index_k = offset_k + tl.arange(0, BLOCK_K)
            mask_k = index_k < 72
            # kernels.py:28: acc = torch.addmm(acc, x[tile_m, tile_k], y[tile_k, tile_n])
            x_tile = tl.load(x + (index_m[:, None] * 72 + index_k[None, :]), mask=mask_m[:, None] & mask_k[None, :], other=0.0)
            y_tile = tl.load(y + (index_k[:, None] * 88 + index_n[None, :]), mask=mask_k[:, None] & mask_n[None, :], other=0.0)
            acc = tl.dot(x_tile, y_tile, acc=acc, input_precision='tf32', out_dtype=tl.float32)
        v = tl.reshape(acc, [BLOCK_M, 2, 32])
        v_1 = tl.permute(v, [0, 2, 1])
        acc_1, acc_2 = tl.split(v_1)
        # kernels.py:29: out[tile_m, tile_n] = acc
        tl.store(out + (index_m[:, None] * 88 + index_n_0[None, :]), acc_1, mask=mask_m[:, None] & mask_n_0[None, :])
        tl.store(out + (index_m[:, None] * 88 + index_n_1[None, :]), acc_2, mask=mask_m[:, None] & mask_n_1[None, :])
