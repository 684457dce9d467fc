import triton
import triton.language as tl


@triton.jit
def _helion_transpose(x, out):
    BLOCK_M: tl.constexpr = 4
    BLOCK_N: tl.constexpr = 16
    pid = tl.program_id(0)
    offset_flat = pid * BLOCK_N * BLOCK_M
    index_flat = offset_flat + tl.arange(0, 64)
    mask_flat = index_flat < 2960
    # kernels.py:142: out[tile_n, tile_m] = x[tile_m, tile_n].T
    x_tile = tl.load(x + index_flat, mask=mask_flat, other=0.0)
    index_n = index_flat % 80
    index_m = index_flat // 80
    tl.store(out + (index_n * 37 + index_m), x_tile, mask=mask_flat)
