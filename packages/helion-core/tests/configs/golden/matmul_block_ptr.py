import triton
import triton.language as tl


@triton.jit
def _helion_matmul(x, y, out):
    BLOCK_M: tl.constexpr = 16
    BLOCK_N: tl.constexpr = 32
    BLOCK_K: tl.constexpr = 16
    pid = tl.program_id(0)
    pid_n = pid % 3
    pid_rest = pid // 3
    offset_m = pid_rest * BLOCK_M
    offset_n = pid_n * BLOCK_N
    # kernels.py:26: acc = hl.zeros([tile_m, tile_n], dtype=torch.float32)
    acc = tl.full([BLOCK_M, BLOCK_N], 0.0, tl.float32)
    # kernels.py:27: for tile_k in hl.tile(k):
    for offset_k in tl.range(0, 72, BLOCK_K):
        # kernels.py:28: acc = torch.addmm(acc, x[tile_m, tile_k], y[tile_k, tile_n])
        x_tile = tl.load(tl.make_block_ptr(x, [50, 72], [72, 1], [offset_m, offset_k], [BLOCK_M, BLOCK_K], [1, 0]), boundary_check=[0, 1], padding_option='zero')
        y_tile = tl.load(tl.make_block_ptr(y, [72, 88], [88, 1], [offset_k, offset_n], [BLOCK_K, BLOCK_N], [1, 0]), boundary_check=[0, 1], padding_option='zero')
        acc = tl.dot(x_tile, y_tile, acc=acc, input_precision='tf32', out_dtype=tl.float32)
    # kernels.py:29: out[tile_m, tile_n] = acc
    tl.store(tl.make_block_ptr(out, [50, 88], [88, 1], [offset_m, offset_n], [BLOCK_M, BLOCK_N], [1, 0]), acc, boundary_check=[0, 1])
