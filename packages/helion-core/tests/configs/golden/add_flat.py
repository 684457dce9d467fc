import triton
import triton.language as tl


@triton.jit
def _helion_add(x, y, out):
    BLOCK_0: tl.constexpr = 4
    BLOCK_1: tl.constexpr = 16
    pid = tl.program_id(0)
    offset_flat = pid * BLOCK_1 * BLOCK_0
    index_flat = offset_flat + tl.arange(0, 64)
    mask_flat = index_flat < 3256
    # kernels.py:134: out[tile] = x[tile] + y[tile] * 2
    x_tile = tl.load(x + index_flat, mask=mask_flat, other=0.0)
    y_tile = tl.load(y + index_flat, mask=mask_flat, other=0.0)
    v = y_tile * 2.0
    v_1 = x_tile + v
    tl.store(out + index_flat, v_1, mask=mask_flat)
