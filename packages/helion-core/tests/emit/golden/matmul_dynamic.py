import torch
import triton
import triton.language as tl


@triton.jit
def _helion_matmul(x, y, out, x_size_0, x_size_1, y_size_1):
    BLOCK_M: tl.constexpr = 64
    BLOCK_N: tl.constexpr = 128
    BLOCK_K: tl.constexpr = 32
    pid = tl.program_id(0)
    num_rows = tl.cdiv(x_size_0, BLOCK_M)
    num_columns = tl.cdiv(y_size_1, BLOCK_N)
    per_group = 4 * num_columns
    first_row = (pid // per_group) * 4
    group_rows = tl.minimum(num_rows - first_row, 4)
    pid_m = first_row + (pid % per_group) % group_rows
    pid_n = (pid % per_group) // group_rows
    offset_m = pid_m * BLOCK_M
    index_m = offset_m + tl.arange(0, BLOCK_M)
    mask_m = index_m < x_size_0
    offset_n = pid_n * BLOCK_N
    index_n = offset_n + tl.arange(0, BLOCK_N)
    mask_n = index_n < y_size_1
    # test_golden.py:18: acc = hl.zeros([tile_m, tile_n], dtype=torch.float32)
    acc = tl.full([BLOCK_M, BLOCK_N], 0.0, tl.float32)
    # test_golden.py:19: for tile_k in hl.tile(k):
    for offset_k in tl.range(0, x_size_1, BLOCK_K):
        index_k = offset_k + tl.arange(0, BLOCK_K)
        mask_k = index_k < x_size_1
        # test_golden.py:20: acc = torch.addmm(acc, x[tile_m, tile_k], y[tile_k, tile_n])
        x_tile = tl.load(x + (index_m[:, None] * x_size_1 + index_k[None, :]), mask=mask_m[:, None] & mask_k[None, :], other=0.0)
        y_tile = tl.load(y + (index_k[:, None] * y_size_1 + index_n[None, :]), mask=mask_k[:, None] & mask_n[None, :], other=0.0)
        acc = tl.dot(x_tile, y_tile, acc=acc, out_dtype=tl.float32)
    # test_golden.py:21: out[tile_m, tile_n] = acc
    v = acc.to(tl.bfloat16)
    tl.store(out + (index_m[:, None] * y_size_1 + index_n[None, :]), v, mask=mask_m[:, None] & mask_n[None, :])


def _launch(kernel, grid, *args, **options):
    kernel[grid](*args, **options)


def matmul(x, y, *, _kernel=_helion_matmul, _launch=_launch):
    m, k = x.size()
    k, n = y.size()
    out = torch.empty([m, n], dtype=x.dtype, device=x.device)
    _launch(_kernel, (max(0, -(-x.size(0) // 64)) * max(0, -(-y.size(1) // 128)),), x, y, out, x.size(0), x.size(1), y.size(1), num_warps=4, num_stages=2)
    return out
