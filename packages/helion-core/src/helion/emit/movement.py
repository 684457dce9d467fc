"""Operations that move lanes: gathers, joins and splits, sorting; bit casts; random numbers by position."""

from __future__ import annotations

import torch

from .. import ir
from ..lower.pointwise import TRITON_DTYPES
from .kernel import KernelEmitter, emit
from .operations import masked


@emit.register
def _(op: ir.Bitcast, k: KernelEmitter) -> None:
    dtype = TRITON_DTYPES[op.result.dtype]
    k.define(op.result, f"{k.name(op.inputs[0])}.to({dtype}, bitcast=True)", "bits")


@emit.register
def _(op: ir.Gather, k: KernelEmitter) -> None:
    source, index = op.inputs
    text = f"tl.gather({_as_wide_as(source, index, op.dim, k)}, {in_bounds(index, k)}, {op.dim})"
    k.define(op.result, text, "gathered")


def _as_wide_as(source: ir.Value, index: ir.Value, dim: int, k: KernelEmitter) -> str:
    """The source, repeated to as many lanes as are gathered: Triton 3.6 to 3.9 fail to compile a gather of more
    lanes.
    """
    shape = k.layout.physical_shape(source)
    copies = k.layout.physical(index.dims[dim].size) // shape[dim]
    name = k.name(source)
    if copies <= 1:
        return name
    parts = [":"] * dim + ["None"] + [":"] * (len(shape) - dim)
    repeated = [*shape[:dim], copies, *shape[dim:]]
    shape[dim] *= copies
    return f"tl.reshape(tl.broadcast_to({name}[{', '.join(parts)}], {repeated}), {shape})"


def in_bounds(index: ir.Value, k: KernelEmitter) -> str:
    """The name of an index vector whose padding lanes hold 0, so that they read nothing from outside."""
    for dim in range(len(index.dims)):
        index_name = masked(index, dim, 0, k)
        if index_name != k.name(index):
            return _mask_rest(index, dim + 1, index_name, k)
    return k.name(index)


def _mask_rest(index: ir.Value, start: int, name: str, k: KernelEmitter) -> str:
    stand_in = ir.Value(index.dims, index.dtype)
    k.set_name(stand_in, name)
    for dim in range(start, len(index.dims)):
        masked_name = masked(stand_in, dim, 0, k)
        if masked_name != name:
            return _mask_rest(stand_in, dim + 1, masked_name, k)
    return name


@emit.register
def _(op: ir.Join, k: KernelEmitter) -> None:
    left, right = op.inputs
    k.define(op.result, f"tl.join({k.name(left)}, {k.name(right)})", "joined")


@emit.register
def _(op: ir.Split, k: KernelEmitter) -> None:
    names = [k.names.fresh(result.hint or "half") for result in op.results]
    k.write(f"{', '.join(names)} = tl.split({k.name(op.inputs[0])})")
    for result, name in zip(op.results, names, strict=True):
        k.set_name(result, name)


@emit.register
def _(op: ir.Sort, k: KernelEmitter) -> None:
    (source,) = op.inputs
    name = masked(source, len(source.dims) - 1, torch.iinfo(source.dtype).max, k)
    k.define(op.result, f"tl.sort({name})", "sorted_keys")


@emit.register
def _(op: ir.Random, k: KernelEmitter) -> None:
    arguments = ", ".join(k.name(value) for value in op.inputs)
    if len(op.results) == 1:
        k.define(op.result, f"tl.{op.kind}({arguments})", "random")
        return
    names = [k.names.fresh(result.hint or "random") for result in op.results]
    k.write(f"{', '.join(names)} = tl.{op.kind}4x({arguments})")
    for result, name in zip(op.results, names, strict=True):
        k.set_name(result, name)
