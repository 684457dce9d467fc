"""Subscripts of host tensors, and host tensors used without one."""

import torch

import helion
import helion.language as hl
from helion import exc

from .record import MASK, N, V, X, mistake

TABLE = torch.zeros(16)


@mistake(exc.RankMismatch, "x[tile, 0, 0]", "`x` has 2 dimensions", "indexed by 3")
def too_many_indices(x):
    out = x.new_empty([x.size(0)])
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile, 0, 0]
    return out


@mistake(exc.RankMismatch, "out[tile_m, tile_n] = ", "`out` has 1 dimension", "indexed by 2")
def too_many_indices_in_a_store(x):
    out = x.new_empty([x.size(0)])
    for tile_m, tile_n in hl.tile(x.size()):
        out[tile_m, tile_n] = x[tile_m, tile_n]
    return out


@mistake(exc.RankMismatch, "v[0, :]", "1 dimension", "indexed by 2", args=(V,))
def too_many_indices_of_a_value(x):
    out = x.new_empty([x.size(0)])
    for tile in hl.tile(x.size(0)):
        v = x[tile]
        out[tile] = v[0, :]
    return out


@mistake(exc.OutOfRangeIndex, "x[tile, 64]", "index 64", "dimension 1 of `x`", "size is 64", "from -64 to 63")
def constant_index_past_the_end(x):
    out = x.new_empty([x.size(0)])
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile, 64]
    return out


@mistake(exc.OutOfRangeIndex, "out[-65] = x[tile].sum()", "index -65", "`out`", args=(V,))
def negative_index_past_the_beginning(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[-65] = x[tile].sum()
    return out


@mistake(exc.InvalidIndexing, "x[tile, ::-1]", "negative step", "torch.flip")
def slice_with_a_negative_step(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile, :] = x[tile, ::-1]
    return out


@mistake(exc.InvalidIndexing, "x[tile, 0 : tile.block_size]", "slice", "hl.tile(begin, end)")
def slice_up_to_a_block_size(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile, :] = x[tile, 0 : tile.block_size].sum(1)[:, None]
    return out


@mistake(exc.InvalidIndexing, "x[tile.begin : tile.end]", "slice", "hl.tile(begin, end)", args=(V,))
def slice_from_begin_to_end_as_in_pytorch(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile.begin : tile.end]
    return out


@mistake(exc.InvalidIndexing, "x[1.5]", "float", args=(V,))
def float_as_an_index(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] + x[1.5]
    return out


@mistake(exc.InvalidIndexing, "x[v]", "float32", ".to(torch.int64)", args=(V,))
def float_value_as_an_index(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        v = x[tile] * 2
        out[tile] = x[v]
    return out


@mistake(exc.DataDependentShape, "x[mask[tile]]", "boolean mask", "torch.where", args=(V, MASK))
def boolean_mask_on_a_host_tensor(x, mask):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[mask[tile]]
    return out


@mistake(exc.InvalidIndexing, "x[True]", "bool", args=(V,))
def bool_as_an_index(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] + x[True]
    return out


@mistake(exc.InvalidIndexing, 'x["row"]', "str", args=(V,))
def string_as_an_index(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] + x["row"]
    return out


@mistake(exc.InvalidIndexing, "x[[0, 1], tile]", "list", "slices")
def list_as_an_index(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(1)):
        out[0:2, tile] = x[[0, 1], tile]
    return out


@mistake(exc.InvalidIndexing, "x[..., tile, ...]", "more than one `...`")
def two_ellipses(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile, :] = x[..., tile, ...]
    return out


@mistake(exc.InvalidIndexing, "v[tile]", "device value", "host tensors", args=(V,))
def value_indexed_by_a_tile(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        v = x[tile]
        out[tile] = v[tile]
    return out


@mistake(exc.HostTensorDirectUsage, "x * 2", "`x` of shape [64, 64]", "mul", "x[tile, :]")
def whole_tensor_in_arithmetic(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile, :] = x * 2
    return out


@mistake(exc.HostTensorDirectUsage, "x[tile, :] + w", "`w` of shape [64]", "w[tile]", args=(X, V))
def whole_vector_beside_a_tile(x, w):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile, :] = x[tile, :] + w
    return out


@mistake(exc.HostTensorDirectUsage, "torch.matmul(x[tile, :], w)", "`w` of shape [64, 64]", "matmul", args=(X, X))
def whole_weight_in_matmul(x, w):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile, :] = torch.matmul(x[tile, :], w)
    return out


@mistake(exc.HostTensorChanged, "out += x[tile]", "`out`", "`out[tile] = ...`", args=(V,))
def whole_output_updated(x):
    out = torch.zeros_like(x)
    for tile in hl.tile(x.size(0)):
        out += x[tile]
    return out


@mistake(exc.HostTensorChanged, "out.copy_(x[tile])", "`out`", "copy_", args=(V,))
def whole_output_copied_to(x):
    out = torch.zeros_like(x)
    for tile in hl.tile(x.size(0)):
        out.copy_(x[tile])
    return out


@mistake(exc.HostTensorChanged, "total += x[tile].sum()", "`total`", "hl.atomic_add(total, [], value)", args=(V,))
def sum_over_all_programs_in_a_0d_tensor(x):
    total = torch.zeros([])
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile]
        total += x[tile].sum()
    return total


@mistake(exc.HostTensorChanged, "count.index_add_(0, n[tile], x[tile])", "`count`", "hl.atomic_add", args=(V, N))
def histogram_by_index_add(x, n):
    count = torch.zeros(8)
    for tile in hl.tile(x.size(0)):
        count.index_add_(0, n[tile], x[tile])
    return count


@mistake(exc.LostUpdate, "out[tile].copy_(x[tile])", "from `out`", "`out[...] = ...`", args=(V,), started=False)
def copied_to_a_loaded_tile(x):
    out = torch.zeros_like(x)
    other = torch.zeros_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile].copy_(x[tile])
        other[tile] = x[tile]
    return out


@mistake(exc.LostUpdate, "out[tile, :][:, 0].zero_()", "from `out`", started=False)
def view_of_a_loaded_tile_set_to_zero(out):
    for tile in hl.tile(out.size(0)):
        for row in hl.tile(4):
            if out[tile, 1].sum() > 0:
                out[tile, :][:, 0].zero_()
            out[row, 1] = 2


@mistake(exc.LeftTileLoop, "return out, found", "`found`", args=(V,))
def list_of_the_host_filled(x):
    found = []
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile]
        found.append(tile.begin)
    return out, found


@mistake(exc.InvalidArgument, "out[tile]", "storing a tuple of 2", "a, b = value")
def both_results_of_max_stored(x):
    out = x.new_empty([x.size(0)])
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile, :].max(1)
    return out


@mistake(exc.HostTensorDirectUsage, "out[tile] = x", "`x` of shape [64]", "x[tile]", args=(V,))
def whole_tensor_stored(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x
    return out


@mistake(exc.HostTensorDirectUsage, "TABLE + x[tile]", "TABLE", "TABLE[tile]", args=(V,))
def whole_global_table(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = TABLE + x[tile]
    return out


@mistake(exc.HostTensorDirectUsage, "int(n)", "`n`", args=(V, N))
def int_of_a_host_tensor(x, n):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] * int(n)
    return out


@mistake(exc.HostTensorDirectUsage, "for row in x:", "`x`")
def iterating_over_a_host_tensor(x):
    out = x.new_empty([x.size(1)])
    for tile in hl.tile(x.size(1)):
        total = hl.zeros([tile])
        for row in x:
            total = total + row[tile]
        out[tile] = total
    return out


@mistake(exc.DeviceTensorSubscriptAssignment, "v[0] = 1.0", "torch.where", args=(V,))
def store_to_a_value(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        v = x[tile]
        v[0] = 1.0
        out[tile] = v
    return out


@mistake(exc.InvalidIndexing, "acc[tile]", "the tile `tile` on a device value", args=(V,))
def augmented_store_to_a_value(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        acc = hl.zeros([tile])
        acc[tile] += x[tile]
        out[tile] = acc
    return out


@mistake(exc.ReadOnlyCapture, "hl.store(v, [tile], 1.0)", "hl.store", "allocated on the host", args=(V,))
def explicit_store_to_a_value(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        v = x[tile]
        hl.store(v, [tile], 1.0)
        out[tile] = v
    return out


@mistake(exc.InvalidArgument, "hl.load(x, [tile], extra_mask=[True])", "a list as a mask", args=(V,))
def list_as_a_mask(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = hl.load(x, [tile], extra_mask=[True])
    return out


@mistake(exc.ReadOnlyCapture, "hl.atomic_add(x[tile], [0], 1.0)", "hl.atomic_add", args=(V,))
def atomic_on_a_value(x):
    for tile in hl.tile(x.size(0)):
        hl.atomic_add(x[tile], [0], 1.0)
    return x


@mistake(exc.InvalidArgument, 'out[tile] = "text"', "str", args=(V,))
def string_stored(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = "text"
    return out


@mistake(exc.InvalidArgument, "out[tile] = None", "NoneType", args=(V,))
def nothing_stored(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = None
    return out


@mistake(exc.InvalidArgument, "out[tile] = [x[tile]]", "list", args=(V,))
def list_stored(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = [x[tile]]
    return out


@mistake(exc.DtypeMismatch, "out[tile] = 1j", "complex", args=(V,))
def complex_number_stored(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = 1j
    return out


@mistake(exc.InvalidArgument, 'hl.load(x, [tile], eviction_policy="first_in")', "first_in", "evict_first", args=(V,))
def unknown_eviction_policy(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = hl.load(x, [tile], eviction_policy="first_in")
    return out


@mistake(exc.InvalidArgument, 'hl.atomic_add(x, [tile], 1.0, sem="strict")', "strict", "relaxed", args=(V,))
def unknown_memory_order(x):
    for tile in hl.tile(x.size(0)):
        hl.atomic_add(x, [tile], 1.0, sem="strict")
    return x


@mistake(exc.InvalidArgument, "hl.stacktensor_like(x, p[tile])", "hl.stacktensor_like", "int64", args=(V, V))
def pointers_that_are_floats(x, p):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = hl.stacktensor_like(x, p[tile])[0]
    return out


@mistake(exc.InvalidArgument, "hl.jagged_tile(64)", "hl.jagged_tile", "length of each row", args=(V,))
def jagged_tile_of_a_number(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        for inner in hl.jagged_tile(64):
            out[tile] = x[tile]
    return out


@mistake(
    exc.OutsideOfTensors,
    "out[tile] = x[-1 - tile.index] + doubled",
    "`backwards` reads outside of all its tensors",
    "extra_mask",
    script=True,
)
def computed_index_below_0():
    @helion.kernel(autotune_effort="none")
    def backwards(x):
        out = torch.empty_like(x)
        for tile in hl.tile(x.size(0)):
            doubled = x[tile] * 2
            out[tile] = x[-1 - tile.index] + doubled
        return out

    backwards(V)


@mistake(exc.OutsideOfTensors, "TABLE[tile.index + 1] = x[tile]", "this writes outside of a tensor", script=True)
def computed_index_beyond_the_end_in_plain_pytorch():
    @helion.kernel(interpret=True)
    def shifted(x):
        for tile in hl.tile(x.size(0)):
            TABLE[tile.index + 1] = x[tile]

    shifted(TABLE.clone())
