import triton
import triton.language as tl


@triton.jit
def _argmax(a, i, b, j):
    keep = (a > b) | ((a != a) & (b == b)) | (((a == b) | ((a != a) & (b != b))) & (i < j))
    return tl.where(keep, a, b), tl.where(keep, i, j)


@triton.jit
def _max(a, b):
    return tl.maximum(a, b, tl.PropagateNan.ALL)


@triton.jit
def _min(a, b):
    return tl.minimum(a, b, tl.PropagateNan.ALL)


@triton.jit
def _helion_extremes(x, where, spread):
    BLOCK_TILE: tl.constexpr = 2
    pid = tl.program_id(0)
    offset_tile = pid * BLOCK_TILE
    index_tile = offset_tile + tl.arange(0, BLOCK_TILE)
    mask_tile = index_tile < 9
    # kernels.py:84: where[tile] = torch.argmax(row, -1)
    argmax_acc = tl.full([BLOCK_TILE, 16], float('-inf'), tl.float32)
    position_acc = tl.full([BLOCK_TILE, 16], 0, tl.int32)
    # kernels.py:85: spread[tile] = row.amax(1) - row.amin(1)
    max_acc = tl.full([BLOCK_TILE, 16], float('-inf'), tl.float32)
    min_acc = tl.full([BLOCK_TILE, 16], float('inf'), tl.float32)
    # kernels.py:84: where[tile] = torch.argmax(row, -1)
    for offset_dim_77 in tl.range(0, 77, 16):
        index_dim_77 = offset_dim_77 + tl.arange(0, 16)
        mask_dim_77 = index_dim_77 < 77
        # kernels.py:83: row = x[tile, :].to(torch.float32)
        row = tl.load(x + (index_tile[:, None] * 77 + index_dim_77[None, :]), mask=mask_tile[:, None] & mask_dim_77[None, :], other=0.0)
        # kernels.py:84: where[tile] = torch.argmax(row, -1)
        row_masked = tl.where(mask_dim_77[None, :], row, float('-inf'))
        positions = tl.broadcast_to(index_dim_77[None, :], [BLOCK_TILE, 16])
        argmax_acc_1, position_acc_1 = _argmax(argmax_acc, position_acc, row_masked, positions)
        # kernels.py:85: spread[tile] = row.amax(1) - row.amin(1)
        max_acc = tl.maximum(max_acc, row_masked, tl.PropagateNan.ALL)
        row_masked_1 = tl.where(mask_dim_77[None, :], row, float('inf'))
        min_acc = tl.minimum(min_acc, row_masked_1, tl.PropagateNan.ALL)
        argmax_acc = argmax_acc_1
        position_acc = position_acc_1
    # kernels.py:84: where[tile] = torch.argmax(row, -1)
    extreme, position = tl.reduce((argmax_acc, position_acc), 1, _argmax)
    # kernels.py:85: spread[tile] = row.amax(1) - row.amin(1)
    max_1 = tl.reduce(max_acc, 1, _max)
    min_1 = tl.reduce(min_acc, 1, _min)
    # kernels.py:84: where[tile] = torch.argmax(row, -1)
    v = position.to(tl.int64)
    tl.store(where + index_tile, v, mask=mask_tile)
    # kernels.py:85: spread[tile] = row.amax(1) - row.amin(1)
    v_1 = max_1 - min_1
    tl.store(spread + index_tile, v_1, mask=mask_tile)
