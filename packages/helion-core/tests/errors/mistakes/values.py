"""Values of tiles taken for Python numbers, lists or tiles."""

import math

import torch

import helion.language as hl
from helion import exc

from .record import V, X, mistake


@mistake(exc.DeviceValueAsPython, "x[tile].sum().item()", "number", ".item()", "0-d device value", args=(V,))
def item(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] / x[tile].sum().item()
    return out


@mistake(exc.DeviceValueAsPython, "x[tile].tolist()", "list", ".tolist()", args=(V,))
def tolist(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile].tolist()[0]
    return out


@mistake(exc.DeviceValueAsPython, "x[tile].numpy()", "array", ".numpy()", args=(V,))
def numpy(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile].numpy()
    return out


@mistake(exc.DeviceValueAsPython, "int(x[tile])", "int() of a tile", ".to(torch.int32)", args=(V,))
def int_of_a_tile(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = int(x[tile])
    return out


@mistake(exc.DeviceValueAsPython, "float(x[tile])", "float() of a tile", ".to(torch.float32)", args=(V,))
def float_of_a_tile(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = float(x[tile])
    return out


@mistake(exc.DeviceValueAsPython, "bool(x[tile].sum() > 0)", "bool", args=(V,))
def bool_of_a_comparison(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] * bool(x[tile].sum() > 0)
    return out


@mistake(exc.DeviceValueAsPython, "math.exp(x[tile])", "float()", args=(V,))
def math_function_on_a_tile(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = math.exp(x[tile])
    return out


@mistake(exc.DeviceValueAsPython, "for row in x[tile, :]:", "iterable", "hl.grid")
def iterating_over_a_value(x):
    out = x.new_empty([x.size(0)])
    for tile in hl.tile(x.size(0)):
        total = hl.zeros([tile])
        for row in x[tile, :]:
            total = total + row
        out[tile] = total
    return out


@mistake(exc.InvalidArgument, "a, b", "unbind", "BLOCK_TILE")
def unpacking_a_value(x):
    out = x.new_empty([x.size(0)])
    for tile in hl.tile(x.size(0)):
        a, b = x[tile, 0:2]
        out[tile] = a + b
    return out


@mistake(exc.InvalidArgument, "sum(x[tile])", "BLOCK_TILE", args=(V,))
def builtin_sum_of_a_value(x):
    out = x.new_empty([1])
    for tile in hl.tile(x.size(0)):
        out[0] = sum(x[tile])
    return out


@mistake(exc.InvalidArgument, "max(x[tile])", "BLOCK_TILE", args=(V,))
def builtin_max_of_a_value(x):
    out = x.new_empty([1])
    for tile in hl.tile(x.size(0)):
        out[0] = max(x[tile])
    return out


@mistake(exc.InvalidArgument, "list(x[tile])", "BLOCK_TILE", args=(V,))
def list_of_a_value(x):
    out = x.new_empty([1])
    for tile in hl.tile(x.size(0)):
        out[0] = list(x[tile])[0]
    return out


@mistake(exc.DeviceValueAsPython, "1.0 in x[tile]", "`in`", args=(V,))
def membership_in_a_value(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = 1.0 if 1.0 in x[tile] else 0.0
    return out


@mistake(exc.DeviceValueAsPython, "table[x[tile].sum().to(torch.int32)]", "int", args=(V,))
def python_list_indexed_by_a_value(x):
    out = torch.empty_like(x)
    table = [1.0, 2.0]
    for tile in hl.tile(x.size(0)):
        out[tile] = table[x[tile].sum().to(torch.int32)]
    return out


@mistake(exc.DeviceValueAsPython, 'f"{x[tile]:.3f}"', args=(V,))
def value_in_a_formatted_string(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        text = f"{x[tile]:.3f}"
        out[tile] = len(text)
    return out


@mistake(exc.ShapeSpecializingAllocation, "math.log2(tile.block_size)", "BLOCK_TILE", args=(V,))
def block_size_as_a_python_number(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] * math.log2(tile.block_size)
    return out


@mistake(exc.ShapeSpecializingAllocation, "[1.0] * tile.block_size", "BLOCK_TILE", args=(V,))
def list_as_long_as_a_block(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        ones = [1.0] * tile.block_size
        out[tile] = sum(ones)
    return out


@mistake(exc.InvalidArgument, "tile * 2", "a tile in `mul`", "tile.index", args=(V,))
def arithmetic_on_a_tile(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile * 2]
    return out


@mistake(exc.InvalidArgument, "tile % 2", "a tile in", "tile.index", args=(V,))
def parity_of_a_tile(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = torch.where(tile % 2 == 0, x[tile], 0.0)
    return out


@mistake(exc.InvalidArgument, "tile < 10", "a tile in `lt`", "tile.index", args=(V,))
def comparison_of_a_tile(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = torch.where(tile < 10, x[tile], 0.0)
    return out


@mistake(exc.InvalidArgument, "torch.exp(tile)", "a tile in `exp`", "tile.index", args=(V,))
def function_of_a_tile(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = torch.exp(tile)
    return out


@mistake(exc.InvalidIndexing, "tile[0]", "a tile", "tile.index", args=(V,))
def subscript_of_a_tile(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] + tile[0]
    return out


@mistake(exc.InvalidArgument, "tile_m + tile_n", "tile.index")
def sum_of_two_tiles(x):
    out = torch.empty_like(x)
    for tile_m, tile_n in hl.tile(x.size()):
        out[tile_m, tile_n] = x[tile_m + tile_n, tile_n]
    return out


@mistake(exc.UnknownAttribute, "tile.start", "`start`", "begin", args=(V,))
def attribute_that_a_tile_does_not_have(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] + tile.start
    return out


@mistake(exc.DeviceValueAsPython, "list(tile)", args=(V,))
def list_of_a_tile(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[list(tile)]
    return out


@mistake(exc.DeviceValueAsPython, "for i in tile:", "tile", "hl.grid", args=(V,))
def iterating_over_a_tile(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        for i in tile:
            out[i] = x[i]
    return out


@mistake(
    exc.DeviceValueAsPython,
    "hl.static_range(n[0])",
    "hl.static_range",
    "hl.tile",
    args=(V, torch.zeros(1, dtype=torch.int64)),
)
def static_range_to_a_device_bound(x, n):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        total = x[tile]
        for _ in hl.static_range(n[0]):
            total = total * 2
        out[tile] = total
    return out


@mistake(exc.InvalidArgument, "hl.tile(x[tile].sum())", "float32", args=(V,))
def tile_loop_to_a_float_bound(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        for inner in hl.tile(x[tile].sum()):
            out[inner] = x[inner]
    return out


@mistake(exc.InvalidArgument, "hl.zeros([tile, 2.5])", "float", "int", args=(V,))
def shape_that_is_not_an_integer(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = hl.zeros([tile, 2.5]).sum(1)
    return out


@mistake(exc.InvalidArgument, "hl.zeros([x[tile], 2])", args=(V,))
def shape_that_is_a_value(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = hl.zeros([x[tile], 2]).sum(1)
    return out


@mistake(exc.InvalidArgument, 'hl.full([tile], "zero")', "str", args=(V,))
def fill_that_is_a_string(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = hl.full([tile], "zero")
    return out


@mistake(exc.InvalidArgument, "hl.tile_index(x)", "hl.tile_index", "tile of an hl.tile loop", args=(V,))
def tile_function_on_a_tensor(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = hl.tile_index(x)
    return out


@mistake(exc.StaleValue, "first[0] + x[tile]", "outside the loop", args=(V,))
def value_kept_from_an_inner_loop(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        first = []
        keep = first.append
        for inner in hl.tile(x.size(0)):
            keep(x[inner].sum())
        out[tile] = first[0] + x[tile]
    return out


@mistake(exc.MutatedAlias, "old + v", "in place", ".clone()", args=(V,))
def old_name_of_a_value_changed_in_place(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        v = x[tile]
        old = v.detach()
        v += 1
        out[tile] = old + v
    return out


@mistake(exc.MutatedAlias, "v * 2", "in place", args=(X,))
def view_changed_in_place(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        v = x[tile, :]
        flat = v.view(tile, 64)
        flat.add_(1)
        out[tile, :] = v * 2
    return out


@mistake(exc.MutatedAlias, "out[tile, :] = v", "in place", args=(X,))
def column_of_a_view_changed_in_place(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        v = x[tile, :]
        v[:, 3].add_(1)
        out[tile, :] = v
    return out
