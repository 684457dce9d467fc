"""Accumulation inside rolled reductions, and the fold of positions behind them."""

from __future__ import annotations

from ..lower.padding import identity
from ..lower.rolling import ARG_KINDS, Accumulate, FoldPosition
from .kernel import KernelEmitter, emit
from .operations import HELPERS, masked

_COMBINE = {
    "sum": "{0} + {1}", "prod": "{0} * {1}",
    "max": "tl.maximum({0}, {1}, tl.PropagateNan.ALL)", "min": "tl.minimum({0}, {1}, tl.PropagateNan.ALL)",
}  # fmt: skip


@emit.register
def _(op: Accumulate, k: KernelEmitter) -> None:
    acc, value = op.inputs[:2]
    name = k.align(masked(value, op.dim, identity(op.kind, value.dtype), k), value.dims, 0, value.dims)
    if op.kind not in ARG_KINDS:
        k.define(op.result, _COMBINE[op.kind].format(k.name(acc), name), "acc")
        return
    helper = f"_{op.kind}"
    k.helpers[helper] = HELPERS[helper]
    index = k.align(k.index(op.range), value.dims[op.dim : op.dim + 1], op.dim, value.dims)
    positions = k.let("positions", f"tl.broadcast_to({index}, {k.kept_shape(value.dims)})")
    names = [k.names.fresh(result.hint) for result in op.results]
    k.write(f"{', '.join(names)} = {helper}({k.name(acc)}, {k.name(op.inputs[2])}, {name}, {positions})")
    for result, text in zip(op.results, names, strict=True):
        k.set_name(result, text)


@emit.register
def _(op: FoldPosition, k: KernelEmitter) -> None:
    helper = f"_{op.kind}"
    k.helpers[helper] = HELPERS[helper]
    values, positions = op.inputs
    axis = k.kept(values.dims).index(op.dim)
    extreme, result = k.names.fresh("extreme"), k.names.fresh(op.result.hint or "position")
    k.write(f"{extreme}, {result} = tl.reduce(({k.name(values)}, {k.name(positions)}), {axis}, {helper})")
    k.set_name(op.result, result)
