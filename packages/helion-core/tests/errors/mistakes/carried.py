"""Variables that change their type in a loop or a branch, or have no value on some path."""

import torch

import helion.language as hl
from helion import exc

from .record import HALF, V, mistake


@mistake(
    exc.ControlFlowTensorMismatch,
    "for inner in hl.tile(x.size(1))",
    "`acc`",
    "float16[BLOCK_TILE]",
    "float32[BLOCK_TILE]",
    "acc.to(torch.float16)",
    args=(HALF,),
)
def accumulator_in_half_precision(x):
    out = x.new_empty([x.size(0)])
    for tile in hl.tile(x.size(0)):
        acc = hl.zeros([tile], dtype=torch.float16)
        for inner in hl.tile(x.size(1)):
            acc = acc + x[tile, inner].to(torch.float32).sum(1)
        out[tile] = acc
    return out


@mistake(
    exc.ControlFlowTensorMismatch,
    "for inner in hl.tile(x.size(1))",
    "`acc`",
    "float32[BLOCK_TILE]",
    "[BLOCK_TILE, BLOCK_INNER]",
)
def accumulator_that_gains_a_dim(x):
    out = x.new_empty([x.size(0)])
    for tile in hl.tile(x.size(0)):
        acc = hl.zeros([tile])
        for inner in hl.tile(x.size(1)):
            acc = acc[:, None] + x[tile, inner]
        out[tile] = acc.sum(1)
    return out


@mistake(
    exc.ControlFlowTensorMismatch,
    "for inner in hl.tile(x.size(1))",
    "`acc`",
    "Python float 0.0",
    "float32[BLOCK_TILE]",
    "hl.full",
)
def accumulator_that_starts_as_a_number(x):
    out = x.new_empty([x.size(0)])
    for tile in hl.tile(x.size(0)):
        acc = 0.0
        for inner in hl.tile(x.size(1)):
            acc = acc + x[tile, inner].sum(1)
        out[tile] = acc
    return out


@mistake(
    exc.ControlFlowTensorMismatch, "for inner in hl.tile(x.size(1))", "`acc`", "None before", "float32[BLOCK_TILE]"
)
def accumulator_that_starts_as_none(x):
    out = x.new_empty([x.size(0)])
    for tile in hl.tile(x.size(0)):
        acc = None
        for inner in hl.tile(x.size(1)):
            part = x[tile, inner].sum(1)
            acc = part if acc is None else acc + part
        out[tile] = acc
    return out


@mistake(exc.ControlFlowTensorMismatch, "for inner in hl.tile(x.size(1))", "`acc`", "[BLOCK_TILE, 64]")
def accumulator_that_is_transposed(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        acc = hl.zeros([tile, 64])
        for inner in hl.tile(x.size(1)):
            acc = (acc + x[tile, inner].sum(1)[:, None]).t()
        out[tile, :] = acc
    return out


@mistake(
    exc.ControlFlowTensorMismatch,
    "for inner in hl.tile(x.size(1))",
    "`parts`",
    "a list of 0 before",
    "a list of 1 after",
)
def list_that_grows_in_a_device_loop(x):
    out = x.new_empty([x.size(0)])
    for tile in hl.tile(x.size(0)):
        parts = []
        for inner in hl.tile(x.size(1)):
            parts.append(x[tile, inner].sum(1))
        out[tile] = sum(parts)
    return out


@mistake(
    exc.ControlFlowTensorMismatch,
    "for inner in hl.tile(x.size(1))",
    "`found`",
    "an empty dict before",
    "keys ['last'] after",
)
def dict_that_grows_in_a_device_loop(x):
    out = x.new_empty([x.size(0)])
    for tile in hl.tile(x.size(0)):
        found = {}
        for inner in hl.tile(x.size(1)):
            found["last"] = x[tile, inner].sum(1)
        out[tile] = found["last"]
    return out


@mistake(exc.ControlFlowTensorMismatch, "if x[tile, 0].sum() > 0:", "`v`", "int32", "float32")
def dtype_that_differs_between_branches(x):
    out = x.new_empty([x.size(0)])
    for tile in hl.tile(x.size(0)):
        if x[tile, 0].sum() > 0:
            v = x[tile, 0]
        else:
            v = x[tile, 0].to(torch.int32)
        out[tile] = v
    return out


@mistake(exc.ControlFlowTensorMismatch, "if x[tile, 0].sum() > 0:", "`v`", "[BLOCK_TILE]", "[BLOCK_TILE, 64]")
def shape_that_differs_between_branches(x):
    out = x.new_empty([x.size(0)])
    for tile in hl.tile(x.size(0)):
        v = x[tile, 0]
        if x[tile, 0].sum() > 0:
            v = x[tile, :]
        out[tile] = v.sum()
    return out


@mistake(exc.ControlFlowTensorMismatch, "if x[tile, 0].sum() > 0:", "`mode`", "'a' in one branch", "'b' in the other")
def string_that_differs_between_branches(x):
    out = x.new_empty([x.size(0)])
    for tile in hl.tile(x.size(0)):
        if x[tile, 0].sum() > 0:
            mode = "a"
        else:
            mode = "b"
        out[tile] = x[tile, 0] if mode == "a" else x[tile, 1]
    return out


@mistake(exc.UndefinedVariable, "v * 2", "`v`", "branch")
def variable_of_one_branch(x):
    out = x.new_empty([x.size(0)])
    for tile in hl.tile(x.size(0)):
        if x[tile, 0].sum() > 0:
            v = x[tile, 0]
        out[tile] = v * 2
    return out


@mistake(exc.UndefinedVariable, "out[tile] = v", "`v`", "branch")
def variable_of_one_branch_stored(x):
    out = x.new_empty([x.size(0)])
    for tile in hl.tile(x.size(0)):
        if x[tile, 0].sum() > 0:
            v = x[tile, 0]
        out[tile] = v
    return out


@mistake(exc.UndefinedVariable, "torch.exp(last)", "`last`", "loop")
def variable_of_an_inner_loop(x):
    out = x.new_empty([x.size(0)])
    for tile in hl.tile(x.size(0)):
        for inner in hl.tile(x.size(1)):
            last = x[tile, inner].sum(1)
        out[tile] = torch.exp(last)
    return out


@mistake(exc.UndefinedVariable, "v + 1", "`v`")
def variable_that_was_deleted(x):
    out = x.new_empty([x.size(0)])
    for tile in hl.tile(x.size(0)):
        v = x[tile, 0]
        del v
        out[tile] = v + 1
    return out


@mistake(exc.UnsupportedOperation, "holder[0].add_(x[tile, inner].sum(1))", "outside this loop", "x = x + y")
def outer_value_changed_in_place_through_a_closure(x):
    out = x.new_empty([x.size(0)])
    for tile in hl.tile(x.size(0)):
        acc = hl.zeros([tile])
        holder = (acc,)
        for inner in hl.tile(x.size(1)):
            holder[0].add_(x[tile, inner].sum(1))
        out[tile] = acc
    return out


@mistake(exc.ControlFlowTensorMismatch, "while n < x[0, 0]:", "`v`", "float32[BLOCK_TILE]", "int64[BLOCK_TILE]")
def dtype_that_changes_in_a_while(x):
    out = x.new_empty([x.size(0)])
    for tile in hl.tile(x.size(0)):
        v, n = x[tile, 0], 0
        while n < x[0, 0]:
            v = v.to(torch.int64)
            n = n + 1
        out[tile] = v
    return out


@mistake(NameError, "x[tile] * scale", "scale", args=(V,))
def name_that_does_not_exist(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] * scale
    return out


@mistake(NameError, "x.new_empty([rows])", "rows", args=(V,))
def host_name_that_does_not_exist(x):
    out = x.new_empty([rows])
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile]
    return out


@mistake(exc.UndefinedVariable, "v + x[tile]", "`v`", args=(V,))
def variable_used_before_its_assignment(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = v + x[tile]
        v = x[tile]
    return out


@mistake(exc.UnsupportedOperation, "total.add_(x[tile, inner].sum(1))", "outside this loop", "x = x + y")
def method_that_updates_in_place(x):
    out = x.new_empty([x.size(0)])
    for tile in hl.tile(x.size(0)):
        total = hl.zeros([tile])
        for inner in hl.tile(x.size(1)):
            total.add_(x[tile, inner].sum(1))
        out[tile] = total
    return out
