"""Shapes that do not fit, in every family of operators."""

import torch
import torch.nn.functional as F

import helion.language as hl
from helion import exc

from .record import HALF, V, X, mistake


@mistake(exc.ShapeMismatch, "v - v.amax(1)", "sub", "[BLOCK_M, BLOCK_N]", "[BLOCK_M]", "keepdim=True")
def row_statistic_without_keepdim(x):
    out = torch.empty_like(x)
    for tile_m, tile_n in hl.tile(x.size()):
        v = x[tile_m, tile_n]
        out[tile_m, tile_n] = v - v.amax(1)
    return out


@mistake(
    exc.ShapeMismatch,
    "x[tile_m, tile_n] * w[tile_m]",
    "mul",
    "[BLOCK_M, BLOCK_N] and [BLOCK_M]",
    "[:, None]",
    args=(X, V),
)
def missing_new_axis(x, w):
    out = torch.empty_like(x)
    for tile_m, tile_n in hl.tile(x.size()):
        out[tile_m, tile_n] = x[tile_m, tile_n] * w[tile_m]
    return out


@mistake(
    exc.ShapeMismatch, "torch.where(w[tile_m] > 0, v, 0.0)", "where", "[BLOCK_M]", "[BLOCK_M, BLOCK_N]", args=(X, V)
)
def where_with_a_row_condition(x, w):
    out = torch.empty_like(x)
    for tile_m, tile_n in hl.tile(x.size()):
        v = x[tile_m, tile_n]
        out[tile_m, tile_n] = torch.where(w[tile_m] > 0, v, 0.0)
    return out


@mistake(
    exc.ShapeMismatch, "x[tile_m, tile_k] @ y[tile_n, tile_k]", "inner sizes BLOCK_K and BLOCK_N differ", args=(X, X)
)
def matmul_with_the_right_side_transposed(x, y):
    m, k = x.size()
    n, _ = y.size()
    out = x.new_empty([m, n])
    for tile_m, tile_n in hl.tile([m, n]):
        acc = hl.zeros([tile_m, tile_n])
        for tile_k in hl.tile(k):
            acc = acc + x[tile_m, tile_k] @ y[tile_n, tile_k]
        out[tile_m, tile_n] = acc
    return out


@mistake(
    exc.ShapeMismatch,
    "hl.dot(x[tile_m, tile_k], y[tile_k, tile_n], acc=acc)",
    "accumulator",
    "[BLOCK_N, BLOCK_M]",
    args=(X, X),
)
def accumulator_of_the_wrong_shape(x, y):
    out = torch.empty_like(x)
    for tile_m, tile_n in hl.tile(out.size()):
        acc = hl.zeros([tile_n, tile_m])
        for tile_k in hl.tile(x.size(1)):
            acc = hl.dot(x[tile_m, tile_k], y[tile_k, tile_n], acc=acc)
        out[tile_m, tile_n] = acc
    return out


@mistake(
    exc.ShapeMismatch,
    "torch.baddbmm(acc, x[tile_b, tile, :], x[tile_b, tile, :])",
    "baddbmm",
    args=(torch.zeros(4, 32, 64),),
)
def batched_product_without_transpose(x):
    out = x.new_empty([x.size(0), x.size(1), x.size(1)])
    for tile_b, tile in hl.tile([x.size(0), x.size(1)]):
        acc = hl.zeros([tile_b, tile, tile])
        out[tile_b, tile, tile] = torch.baddbmm(acc, x[tile_b, tile, :], x[tile_b, tile, :])
    return out


@mistake(exc.ShapeMismatch, "F.linear(x[tile, :], w[:, :])", "linear", args=(X, torch.zeros(64, 32)))
def linear_with_the_weight_the_wrong_way(x, w):
    out = x.new_empty([x.size(0), w.size(1)])
    for tile in hl.tile(x.size(0)):
        out[tile, :] = F.linear(x[tile, :], w[:, :])
    return out


@mistake(exc.DimensionOutOfRange, "x[tile_m, tile_n].sum(2)", "dimension 2", "2 dimensions", "from -2 to 1")
def sum_over_a_missing_dim(x):
    out = x.new_empty([x.size(0)])
    for tile_m, tile_n in hl.tile(x.size()):
        out[tile_m] = x[tile_m, tile_n].sum(2)
    return out


@mistake(
    exc.DimensionOutOfRange, "torch.amax(x[tile], dim=-2)", "dimension -2", "1 dimension", "from -1 to 0", args=(V,)
)
def amax_over_a_missing_dim(x):
    out = x.new_empty([1])
    for tile in hl.tile(x.size(0)):
        out[0] = torch.amax(x[tile], dim=-2)
    return out


@mistake(exc.TracingFailed, "torch.softmax(x[tile, :], dim=3)", "softmax", "range of [-2, 1], but got 3")
def softmax_over_a_missing_dim(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile, :] = torch.softmax(x[tile, :], dim=3)
    return out


@mistake(exc.DimensionOutOfRange, "x[tile].mean((0, 1))", "dimension 1", args=(V,))
def mean_over_two_dims_of_a_vector(x):
    out = x.new_empty([1])
    for tile in hl.tile(x.size(0)):
        out[0] = x[tile].mean((0, 1))
    return out


@mistake(exc.DimensionOutOfRange, "torch.cumsum(x[tile, :], dim=2)", "dimension 2")
def cumsum_over_a_missing_dim(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile, :] = torch.cumsum(x[tile, :], dim=2)
    return out


@mistake(exc.ShapeMismatch, "torch.topk(x[tile, :], 100)", "100", "64")
def topk_of_more_than_there_is(x):
    out = x.new_empty([x.size(0), 128])
    for tile in hl.tile(x.size(0)):
        values, _ = torch.topk(x[tile, :], 100)
        out[tile, :] = values
    return out


@mistake(exc.TracingFailed, "x[tile, :].reshape(tile, 4, 15)", "reshape", "64*BLOCK_TILE", "[BLOCK_TILE, 4, 15]")
def reshape_to_another_number_of_elements(x):
    out = x.new_empty([x.size(0), 4, 15])
    for tile in hl.tile(x.size(0)):
        out[tile, :, :] = x[tile, :].reshape(tile, 4, 15)
    return out


@mistake(exc.ShapeMismatch, "x[tile, :].view(-1, -1)", "view", "[BLOCK_TILE, 64]", "-1")
def view_with_two_unknown_sizes(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile, :] = x[tile, :].view(-1, -1)
    return out


@mistake(exc.UnsupportedReshape, "x[tile, :].reshape(-1)", "[BLOCK_TILE, 48]", "padded", args=(torch.zeros(64, 48),))
def flatten_rows_that_are_padded(x):
    out = x.new_empty([x.numel()])
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile, :].reshape(-1).amax()
    return out


@mistake(exc.ShapeMismatch, "x[tile, :].permute(0, 0)", "permute", "[BLOCK_TILE, 64]")
def permute_that_names_a_dim_twice(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile, :] = x[tile, :].permute(0, 0)
    return out


@mistake(exc.DimensionOutOfRange, "x[tile, :].permute(1, 0, 2)", "permute", "no dimension 2")
def permute_with_too_many_dims(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile, :] = x[tile, :].permute(1, 0, 2)
    return out


@mistake(exc.DimensionOutOfRange, "x[tile].transpose(0, 1)", "transpose", "dimension 1", args=(V,))
def transpose_of_a_vector(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile].transpose(0, 1)
    return out


@mistake(exc.ShapeMismatch, "x[tile, :].expand(tile, 128)", "expand", "[BLOCK_TILE, 64]", "[BLOCK_TILE, 128]")
def expand_a_dim_that_is_not_one(x):
    out = x.new_empty([x.size(0), 128])
    for tile in hl.tile(x.size(0)):
        out[tile, :] = x[tile, :].expand(tile, 128)
    return out


@mistake(exc.ShapeMismatch, "x[tile, :].expand(64)", "expand", "[BLOCK_TILE, 64]")
def expand_to_fewer_dims(x):
    out = x.new_empty([64])
    for tile in hl.tile(x.size(0)):
        out[:] = x[tile, :].expand(64)
    return out


@mistake(
    exc.ShapeMismatch, "torch.cat([x[tile, :], w[tile]], dim=1)", "cat", "[BLOCK_TILE, 64]", "[BLOCK_TILE]", args=(X, V)
)
def cat_of_a_matrix_and_a_vector(x, w):
    out = x.new_empty([x.size(0), 65])
    for tile in hl.tile(x.size(0)):
        out[tile, :] = torch.cat([x[tile, :], w[tile]], dim=1)
    return out


@mistake(exc.TracingFailed, "torch.stack([x[tile, :], w[tile]])", "BLOCK_TILE", args=(X, V))
def stack_of_different_shapes(x, w):
    out = x.new_empty([2, x.size(0), 64])
    for tile in hl.tile(x.size(0)):
        out[:, tile, :] = torch.stack([x[tile, :], w[tile]])
    return out


@mistake(exc.ShapeMismatch, "out[tile_m, tile_n] = x[tile_n, tile_m]", "[BLOCK_N, BLOCK_M]", "[BLOCK_M, BLOCK_N]")
def store_of_a_transposed_tile(x):
    out = torch.empty_like(x)
    for tile_m, tile_n in hl.tile(x.size()):
        out[tile_m, tile_n] = x[tile_n, tile_m]
    return out


@mistake(exc.ShapeMismatch, "out[tile] = x[tile, :]", "store", "[BLOCK_TILE, 64]", "[BLOCK_TILE]")
def store_of_rows_where_a_number_each_was_meant(x):
    out = x.new_empty([x.size(0)])
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile, :]
    return out


@mistake(
    exc.ShapeMismatch,
    "hl.load(x, [tile, slice(None)], extra_mask=w[tile] > 0)",
    "mask",
    "[BLOCK_TILE]",
    "[BLOCK_TILE, 64]",
    args=(X, torch.zeros(32)),
)
def mask_of_the_wrong_rank(x, w):
    out = torch.empty_like(x)
    for tile in hl.tile(32):
        out[tile, :] = hl.load(x, [tile, slice(None)], extra_mask=w[tile] > 0)
    return out


@mistake(exc.ShapeMismatch, "hl.atomic_add(out, [tile], x[tile, :])", "atomic_add", "[BLOCK_TILE, 64]", "[BLOCK_TILE]")
def atomic_of_the_wrong_shape(x):
    out = x.new_zeros([x.size(0)])
    for tile in hl.tile(x.size(0)):
        hl.atomic_add(out, [tile], x[tile, :])
    return out


@mistake(exc.ShapeMismatch, "total += x[tile, :]", "in-place", "[]", "[BLOCK_TILE, 64]")
def augmented_assignment_that_grows(x):
    out = x.new_empty([x.size(0)])
    for tile in hl.tile(x.size(0)):
        total = hl.full([], 0.0)
        total += x[tile, :]
        out[tile] = total
    return out


@mistake(exc.TracingFailed, 'torch.einsum("ij,jk->ik", x[tile, :], y[:, :])', "64", "32", args=(X, torch.zeros(32, 64)))
def einsum_over_sizes_that_differ(x, y):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile, :] = torch.einsum("ij,jk->ik", x[tile, :], y[:, :])
    return out


@mistake(exc.TracingFailed, "F.layer_norm(x[tile, :], [32])", "layer_norm", "32")
def layer_norm_over_the_wrong_size(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile, :] = F.layer_norm(x[tile, :], [32])
    return out


@mistake(exc.ShapeMismatch, "a + b", "add", "BLOCK_M", "BLOCK_K", args=(X, HALF))
def two_loops_over_the_same_dim(x, y):
    out = torch.empty_like(x)
    for tile_m in hl.tile(x.size(0)):
        a = x[tile_m, :]
        for tile_k in hl.tile(y.size(0)):
            b = y[tile_k, :]
            out[tile_m, :] = a + b
    return out


@mistake(
    exc.TileSizeMismatch, "y[tile]", "`tile` runs to 64", "dimension 0 of `y`", "size is 32", args=(V, torch.zeros(32))
)
def arguments_of_different_length(x, y):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] + y[tile]
    return out


@mistake(
    exc.TileSizeMismatch, "x[tile_m, tile_k]", "2028", "2048", args=(torch.zeros(2048, 2028), torch.zeros(2048, 2028))
)
def matmul_of_arguments_that_do_not_multiply(x, y):
    m, k = x.size()
    k2, n = y.size()
    out = x.new_empty([m, n])
    for tile_m, tile_n in hl.tile([m, n]):
        acc = hl.zeros([tile_m, tile_n])
        for tile_k in hl.tile(k2):
            acc = torch.addmm(acc, x[tile_m, tile_k], y[tile_k, tile_n])
        out[tile_m, tile_n] = acc
    return out


@mistake(
    exc.ShapeMismatch,
    "torch.gather(x[tile, :], 1, i[tile])",
    "gather",
    "[BLOCK_TILE, 64]",
    "[BLOCK_TILE]",
    args=(X, torch.zeros(64, dtype=torch.int64)),
)
def gather_with_an_index_of_another_rank(x, i):
    out = x.new_empty([x.size(0)])
    for tile in hl.tile(x.size(0)):
        out[tile] = torch.gather(x[tile, :], 1, i[tile])
    return out


@mistake(exc.ShapeMismatch, "hl.split(x[tile, :])", "split", "[BLOCK_TILE, 64]", "2")
def split_of_a_dim_that_is_not_two(x):
    out = x.new_empty([x.size(0), 32])
    for tile in hl.tile(x.size(0)):
        a, b = hl.split(x[tile, :])
        out[tile, :] = a + b
    return out


@mistake(exc.TracingFailed, "hl.join(x[tile, :], w[tile])", "64", "BLOCK_TILE", args=(X, torch.zeros(48)))
def join_of_different_shapes(x, w):
    out = x.new_empty([x.size(0), 64, 2])
    for tile in hl.tile(48):
        out[tile, :, :] = hl.join(x[tile, :], w[tile])
    return out


@mistake(exc.TracingFailed, "x[tile, :].chunk(3, dim=2)", "but got 2")
def chunk_of_a_missing_dim(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        a, b, c = x[tile, :].chunk(3, dim=2)
        out[tile, :] = a
    return out


@mistake(
    exc.TileSizeMismatch,
    "torch.addmm(acc, x[tile_m, tile_k].T.T",
    "`tile_k` runs to 40",
    "dimension 1 of `x`",
    "size is 64",
    "[64, 64]",
    args=(X, torch.zeros(40, 64)),
)
def product_of_a_part(x, y):
    k, n = y.size()
    out = x.new_empty([x.size(0), n])
    for tile_m, tile_n in hl.tile(out.size()):
        acc = hl.zeros([tile_m, tile_n])
        for tile_k in hl.tile(k):
            acc = torch.addmm(acc, x[tile_m, tile_k].T.T, y[tile_k, tile_n].to(x.dtype) * 2)
        out[tile_m, tile_n] = acc
    return out
