import triton
import triton.language as tl


@triton.jit
def _helion_layer_norm(x, w, b, out):
    BLOCK_TILE: tl.constexpr = 1
    index_dim_136 = tl.arange(0, 256)
    mask_dim_136 = index_dim_136 < 136
    pid = tl.program_id(0)
    offset_tile = pid
    # kernels.py:71: row = x[tile, :].to(torch.float32)
    row = tl.load(x + offset_tile * 136 + index_dim_136, mask=mask_dim_136, other=0.0)
    # kernels.py:72: var, mean = torch.var_mean(row, dim=-1, keepdim=True, correction=0)
    sum_1 = tl.sum(row, 0)
    v = sum_1 / 136.0
    v_1 = row - v
    v_2 = v_1 * v_1
    v_2_masked = tl.where(mask_dim_136, v_2, 0.0)
    sum_2 = tl.sum(v_2_masked, 0)
    v_3 = sum_2 / 136.0
    # kernels.py:73: y = (row - mean) * torch.rsqrt(var + 1e-5)
    v_4 = row - v
    v_5 = v_3 + 1e-05
    v_6 = tl.rsqrt(v_5)
    y = v_4 * v_6
    # kernels.py:74: out[tile, :] = (y * w[:].to(torch.float32) + b[:].to(torch.float32)).to(x.dtype)
    w_tile = tl.load(w + index_dim_136, mask=mask_dim_136, other=0.0)
    v_7 = y * w_tile
    b_tile = tl.load(b + index_dim_136, mask=mask_dim_136, other=0.0)
    v_8 = v_7 + b_tile
    tl.store(out + offset_tile * 136 + index_dim_136, v_8, mask=mask_dim_136)
