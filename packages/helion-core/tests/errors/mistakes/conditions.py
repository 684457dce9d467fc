"""Conditions on vectors, and Python truth of device values."""

import torch

import helion.language as hl
from helion import exc

from .record import V, mistake


@mistake(exc.VectorCondition, "if x[tile] > 0:", "`if`", "[BLOCK_TILE]", "torch.where", args=(V,))
def if_on_a_vector(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        if x[tile] > 0:
            out[tile] = x[tile]
    return out


@mistake(exc.VectorCondition, "x[tile] if x[tile] > 0 else 0.0", "`if`", "[BLOCK_TILE]", "torch.where", args=(V,))
def ternary_on_a_vector(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] if x[tile] > 0 else 0.0
    return out


@mistake(exc.VectorCondition, "while v > 0:", "`while`", "[BLOCK_TILE]", args=(V,))
def while_on_a_vector(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        v = x[tile]
        while v > 0:
            v = v - 1
        out[tile] = v
    return out


@mistake(exc.VectorCondition, "v > 0 and v < 1", "and", "[BLOCK_TILE]", "&", args=(V,))
def and_of_vectors(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        v = x[tile]
        out[tile] = torch.where(v > 0 and v < 1, v, 0.0)
    return out


@mistake(exc.VectorCondition, "v < 0 or v > 1", "or", "[BLOCK_TILE]", "|", args=(V,))
def or_of_vectors(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        v = x[tile]
        out[tile] = torch.where(v < 0 or v > 1, v, 0.0)
    return out


@mistake(exc.VectorCondition, "not v > 0", "not", "[BLOCK_TILE]", "~", args=(V,))
def not_of_a_vector(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        v = x[tile]
        out[tile] = torch.where(not v > 0, v, 0.0)
    return out


@mistake(exc.VectorCondition, "0 < v < 1", "[BLOCK_TILE]", "&", args=(V,))
def chained_comparison_of_vectors(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        v = x[tile]
        out[tile] = torch.where(0 < v < 1, v, 0.0)
    return out


@mistake(exc.VectorCondition, "if tile.index < 10:", "`if`", "[BLOCK_TILE]", args=(V,))
def if_on_the_indices(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        if tile.index < 10:
            out[tile] = x[tile]
    return out


@mistake(exc.InvalidArgument, "if tile:", "a tile as the condition of `if`", "tile.begin", args=(V,))
def if_on_a_tile(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        if tile:
            out[tile] = x[tile]
    return out


@mistake(exc.DeviceValueAsPython, "any(x[tile] > 0 for _ in range(2))", "bool", args=(V,))
def builtin_any(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        flag = any(x[tile] > 0 for _ in range(2))
        out[tile] = x[tile] * flag
    return out


@mistake(exc.DeviceValueAsPython, "sorted([x[0], x[1]])", "bool", args=(V,))
def sorted_values(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        low, high = sorted([x[0], x[1]])
        out[tile] = x[tile] * low
    return out


@mistake(exc.DeviceValueAsPython, "bool(x[tile].sum() == 1)", "Python bool", args=(V,))
def dict_indexed_by_a_comparison(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = {True: 1.0, False: 2.0}[bool(x[tile].sum() == 1)]
    return out


@mistake(exc.VectorCondition, "if x[tile, :].sum(1) > 0:", "`if`", "[BLOCK_TILE]")
def if_on_one_number_a_row(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        if x[tile, :].sum(1) > 0:
            out[tile, :] = x[tile, :]
    return out


@mistake(exc.HostDataNeeded, "2.0 if x.sum() > 0 else 1.0", "data", "argument", args=(V,))
def host_if_on_data(x):
    out = torch.empty_like(x)
    scale = 2.0 if x.sum() > 0 else 1.0
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] * scale
    return out


@mistake(exc.HostDataNeeded, "torch.nonzero(x)", "data", args=(V,))
def host_result_whose_shape_depends_on_data(x):
    i = torch.nonzero(x)
    out = x.new_empty([i.size(0)])
    for tile in hl.tile(i.size(0)):
        out[tile] = x[i[tile, 0]]
    return out


@mistake(exc.HostDataNeeded, "x[x > 0]", "data", args=(V,))
def host_boolean_mask(x):
    y = x[x > 0]
    out = torch.empty_like(y)
    for tile in hl.tile(y.size(0)):
        out[tile] = y[tile]
    return out


@mistake(exc.HostDataNeeded, "x.tolist()", "data", args=(V,))
def host_list_of_data(x):
    numbers = x.tolist()
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] * numbers[0]
    return out
