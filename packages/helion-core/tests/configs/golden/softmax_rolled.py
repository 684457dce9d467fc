import triton
import triton.language as tl


@triton.jit
def _max(a, b):
    return tl.maximum(a, b, tl.PropagateNan.ALL)


@triton.jit
def _helion_softmax(x, out):
    BLOCK_TILE: tl.constexpr = 1
    pid = tl.program_id(0)
    offset_tile = pid
    # kernels.py:63: out[tile, :] = torch.softmax(x[tile, :].to(torch.float32), dim=1).to(x.dtype)
    max_acc = tl.full([32], float('-inf'), tl.float32)
    for offset_dim_100 in tl.range(0, 100, 32):
        index_dim_100 = offset_dim_100 + tl.arange(0, 32)
        mask_dim_100 = index_dim_100 < 100
        x_tile = tl.load(x + offset_tile * 100 + index_dim_100, mask=mask_dim_100, other=0.0)
        x_tile_masked = tl.where(mask_dim_100, x_tile, float('-inf'))
        max_acc = tl.maximum(max_acc, x_tile_masked, tl.PropagateNan.ALL)
    max_1 = tl.reduce(max_acc, 0, _max)
    sum_acc = tl.full([32], 0.0, tl.float32)
    for offset_dim_100_1 in tl.range(0, 100, 32):
        index_dim_100_1 = offset_dim_100_1 + tl.arange(0, 32)
        mask_dim_100_1 = index_dim_100_1 < 100
        x_tile_1 = tl.load(x + offset_tile * 100 + index_dim_100_1, mask=mask_dim_100_1, other=0.0)
        v = x_tile_1 - max_1
        v_1 = tl.exp(v)
        v_1_masked = tl.where(mask_dim_100_1, v_1, 0.0)
        sum_acc = sum_acc + v_1_masked
    sum_1 = tl.sum(sum_acc, 0)
    for offset_dim_100_2 in tl.range(0, 100, 32):
        index_dim_100_2 = offset_dim_100_2 + tl.arange(0, 32)
        mask_dim_100_2 = index_dim_100_2 < 100
        x_tile_2 = tl.load(x + offset_tile * 100 + index_dim_100_2, mask=mask_dim_100_2, other=0.0)
        v_2 = x_tile_2 - max_1
        v_3 = tl.exp(v_2)
        v_4 = v_3 / sum_1
        tl.store(out + offset_tile * 100 + index_dim_100_2, v_4, mask=mask_dim_100_2)
