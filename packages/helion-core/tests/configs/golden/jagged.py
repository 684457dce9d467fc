import triton
import triton.language as tl


@triton.jit
def _helion_jagged(offsets, values, out):
    BLOCK_TILE: tl.constexpr = 16
    pid = tl.program_id(0)
    i = pid
    # kernels.py:175: begin, end = offsets[i], offsets[i + 1]
    offsets_tile = tl.load(offsets + i)
    offsets_tile_1 = tl.load(offsets + (1 + i))
    # kernels.py:176: acc = hl.zeros([], dtype=torch.float32)
    acc = tl.full([], 0.0, tl.float32)
    # kernels.py:177: for tile in hl.tile(begin, end):
    for offset_tile in tl.range(offsets_tile, offsets_tile_1, BLOCK_TILE):
        index_tile = (offset_tile + tl.arange(0, BLOCK_TILE)).to(tl.int32)
        mask_tile = index_tile < offsets_tile_1
        # kernels.py:178: acc = acc + (values[tile] + 1).sum()
        values_tile = tl.load(values + index_tile, mask=mask_tile & (index_tile < 70), other=0.0)
        v = values_tile + 1.0
        v_masked = tl.where(mask_tile, v, 0.0)
        sum_1 = tl.sum(v_masked, 0)
        acc = acc + sum_1
    # kernels.py:179: out[i] = acc
    tl.store(out + i, acc)
