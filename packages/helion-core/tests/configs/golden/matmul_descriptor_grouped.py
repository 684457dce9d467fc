import triton
import triton.language as tl


@triton.jit
def _helion_matmul(x, y, out, x_desc, y_desc, out_desc):
    BLOCK_M: tl.constexpr = 16
    BLOCK_N: tl.constexpr = 32
    BLOCK_K: tl.constexpr = 16
    pid = tl.program_id(0)
    per_group = 4 * 3
    first_row = (pid // per_group) * 4
    group_rows = tl.minimum(4 - first_row, 4)
    pid_m = first_row + (pid % per_group) % group_rows
    pid_n = (pid % per_group) // group_rows
    offset_m = pid_m * BLOCK_M
    offset_n = pid_n * BLOCK_N
    # kernels.py:26: acc = hl.zeros([tile_m, tile_n], dtype=torch.float32)
    acc = tl.full([BLOCK_M, BLOCK_N], 0.0, tl.float32)
    # kernels.py:27: for tile_k in hl.tile(k):
    for offset_k in tl.range(0, 72, BLOCK_K):
        # kernels.py:28: acc = torch.addmm(acc, x[tile_m, tile_k], y[tile_k, tile_n])
        x_tile = x_desc.load([offset_m, offset_k])
        y_tile = y_desc.load([offset_k, offset_n])
        acc = tl.dot(x_tile, y_tile, acc=acc, input_precision='tf32', out_dtype=tl.float32)
    # kernels.py:29: out[tile_m, tile_n] = acc
    out_desc.store([offset_m, offset_n], acc)
