import torch
import triton
import triton.language as tl


@triton.jit
def _max(a, b):
    return tl.maximum(a, b, tl.PropagateNan.ALL)


@triton.jit
def _helion_softmax(x, out):
    BLOCK_TILE: tl.constexpr = 4
    index_dim_300 = tl.arange(0, 512)
    mask_dim_300 = index_dim_300 < 300
    pid = tl.program_id(0)
    offset_tile = pid * BLOCK_TILE
    index_tile = offset_tile + tl.arange(0, BLOCK_TILE)
    # test_golden.py:29: out[tile, :] = torch.softmax(x[tile, :], dim=1)
    x_tile = tl.load(x + (index_tile[:, None] * 300 + index_dim_300[None, :]), mask=mask_dim_300[None, :], other=0.0)
    v = x_tile.to(tl.float32)
    v_masked = tl.where(mask_dim_300[None, :], v, float('-inf'))
    max_1 = tl.reduce(v_masked, 1, _max)
    v_1 = v - max_1[:, None]
    v_2 = tl.exp(v_1)
    v_2_masked = tl.where(mask_dim_300[None, :], v_2, 0.0)
    sum_1 = tl.sum(v_2_masked, 1)
    v_3 = v_2 / sum_1[:, None]
    v_4 = v_3.to(tl.bfloat16)
    tl.store(out + (index_tile[:, None] * 300 + index_dim_300[None, :]), v_4, mask=mask_dim_300[None, :])


def _launch(kernel, grid, *args, **options):
    kernel[grid](*args, **options)


def softmax(x, *, _kernel=_helion_softmax, _launch=_launch):
    out = torch.empty_like(x)
    _launch(_kernel, (250,), x, out, num_warps=4, num_stages=2)
    return out
