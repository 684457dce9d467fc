import torch
import triton
import triton.language as tl


@triton.jit
def _helion_layer_norm(x, weight, bias, out, eps):
    BLOCK_TILE: tl.constexpr = 4
    index_dim_300 = tl.arange(0, 512)
    mask_dim_300 = index_dim_300 < 300
    pid = tl.program_id(0)
    offset_tile = pid * BLOCK_TILE
    index_tile = offset_tile + tl.arange(0, BLOCK_TILE)
    # test_golden.py:37: row = x[tile, :].to(torch.float32)
    x_tile = tl.load(x + (index_tile[:, None] * 300 + index_dim_300[None, :]), mask=mask_dim_300[None, :], other=0.0)
    row = x_tile.to(tl.float32)
    # test_golden.py:38: mean = row.mean(dim=-1, keepdim=True)
    sum_1 = tl.sum(row, 1)
    mean = sum_1 / 300.0
    # test_golden.py:39: centred = row - mean
    centred = row - mean[:, None]
    # test_golden.py:40: variance = (centred * centred).mean(dim=-1, keepdim=True)
    v = centred * centred
    v_masked = tl.where(mask_dim_300[None, :], v, 0.0)
    sum_2 = tl.sum(v_masked, 1)
    variance = sum_2 / 300.0
    # test_golden.py:41: out[tile, :] = centred * torch.rsqrt(variance + eps) * weight[:] + bias[:]
    scalar = tl.full([], eps, tl.float32)
    v_1 = variance + scalar
    v_2 = tl.rsqrt(v_1)
    v_3 = centred * v_2[:, None]
    weight_tile = tl.load(weight + index_dim_300, mask=mask_dim_300, other=0.0)
    v_4 = v_3 * weight_tile[None, :].to(tl.float32)
    bias_tile = tl.load(bias + index_dim_300, mask=mask_dim_300, other=0.0)
    v_5 = v_4 + bias_tile[None, :].to(tl.float32)
    v_6 = v_5.to(tl.bfloat16)
    tl.store(out + (index_tile[:, None] * 300 + index_dim_300[None, :]), v_6, mask=mask_dim_300[None, :])


def _launch(kernel, grid, *args, **options):
    kernel[grid](*args, **options)


def layer_norm(x, weight, bias, eps=1e-05, *, _kernel=_helion_layer_norm, _launch=_launch):
    out = torch.empty_like(x)
    _launch(_kernel, (250,), x, weight, bias, out, eps, num_warps=4, num_stages=2)
    return out
