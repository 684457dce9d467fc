import torch
import triton
import triton.language as tl


@triton.jit
def _helion_matmul(x, y, out):
    BLOCK_M: tl.constexpr = 32
    BLOCK_N: tl.constexpr = 16
    BLOCK_K: tl.constexpr = 32
    pid = tl.program_id(0)
    per_group = 4 * 5
    first_row = (pid // per_group) * 4
    group_rows = tl.minimum(4 - first_row, 4)
    pid_n = first_row + (pid % per_group) % group_rows
    pid_m = (pid % per_group) // group_rows
    offset_m = pid_m * BLOCK_M
    index_m = offset_m + tl.arange(0, BLOCK_M)
    mask_m = index_m < 130
    offset_n = pid_n * BLOCK_N
    index_n = offset_n + tl.arange(0, BLOCK_N)
    mask_n = index_n < 50
    # test_golden.py:18: acc = hl.zeros([tile_m, tile_n], dtype=torch.float32)
    acc = tl.full([BLOCK_M, BLOCK_N], 0.0, tl.float32)
    # test_golden.py:19: for tile_k in hl.tile(k):
    for offset_k in tl.range(0, 70, BLOCK_K):
        index_k = offset_k + tl.arange(0, BLOCK_K)
        mask_k = index_k < 70
        # test_golden.py:20: acc = torch.addmm(acc, x[tile_m, tile_k], y[tile_k, tile_n])
        x_tile = tl.load(x + (index_m[:, None] * 70 + index_k[None, :]), mask=mask_m[:, None] & mask_k[None, :], other=0.0)
        y_tile = tl.load(y + (index_k[:, None] * 50 + index_n[None, :]), mask=mask_k[:, None] & mask_n[None, :], other=0.0)
        acc = tl.dot(x_tile, y_tile, acc=acc, input_precision='tf32', out_dtype=tl.float32)
    # test_golden.py:21: out[tile_m, tile_n] = acc
    tl.store(out + (index_m[:, None] * 50 + index_n[None, :]), acc, mask=mask_m[:, None] & mask_n[None, :])


def _launch(kernel, grid, *args, **options):
    kernel[grid](*args, **options)


def matmul(x, y, *, _kernel=_helion_matmul, _launch=_launch):
    m, k = x.size()
    k, n = y.size()
    out = torch.empty([m, n], dtype=x.dtype, device=x.device)
    _launch(_kernel, (20,), x, y, out, num_warps=4, num_stages=2)
    return out
