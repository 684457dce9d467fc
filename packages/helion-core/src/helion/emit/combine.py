"""Scans and reductions by functions of the user's own: each combine function becomes a jitted helper."""

from __future__ import annotations

from .. import ir
from ..ir import Block, Value
from ..lower.padding import identity
from .kernel import KernelEmitter, emit, spread
from .operations import masked


def helper(body: Block, hint: str, k: KernelEmitter) -> str:
    """Writes `body` as a function of its params; returns the name."""
    name = k.names.fresh(hint)
    with k.function() as lines:
        params = [k.names.fresh(param.hint or "x") for param in body.params]
        for param, text in zip(body.params, params, strict=True):
            k.set_name(param, text)
        k.block(body)
        k.write(f"return {', '.join(map(k.name, body.yields))}")
        k.helpers[name] = f"@triton.jit\ndef {name}({', '.join(params)}):\n" + "\n".join(lines()) + "\n"
    return name


def _or_last_valid(function: str, count: int, k: KernelEmitter) -> str:
    """`function` over values with a flag each: lanes whose flag is 0 count for nothing."""
    name = k.names.fresh(f"{function}_valid")
    left, right, both = ([f"{side}{n}" for n in range(count)] for side in ("a", "b", "c"))
    text = [
        f"@triton.jit\ndef {name}({', '.join([*left, 'left_valid', *right, 'right_valid'])}):",
        f"    {', '.join(both)} = {function}({', '.join([*left, *right])})",
        "    both = (left_valid != 0) & (right_valid != 0)",
        *(
            f"    {c} = tl.where(both, {c}, tl.where(left_valid != 0, {a}, {b}))"
            for a, b, c in zip(left, right, both, strict=True)
        ),
        f"    return {', '.join([*both, 'left_valid | right_valid'])}",
    ]
    k.helpers[name] = "\n".join(text) + "\n"
    return name


def _define_all(results: tuple[Value, ...], text: str, hint: str, k: KernelEmitter, spare: int = 0) -> None:
    names = [k.names.fresh(result.hint or hint) for result in results]
    unused = [k.names.fresh("unused") for _ in range(spare)]
    k.write(f"{', '.join([*names, *unused])} = {text}")
    for result, name in zip(results, names, strict=True):
        k.set_name(result, name)


def _tuple(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"({', '.join(names)})"


@emit.register
def _(op: ir.Scan, k: KernelEmitter) -> None:
    suffix = ", reverse=True" if op.reverse else ""
    if op.kind is not None:
        (source,) = op.inputs
        name = masked(source, op.dim, identity(op.kind, source.dtype), k) if op.reverse else k.name(source)
        k.define(op.result, f"tl.cum{op.kind}({name}, {op.dim}{suffix})", "running")
        return
    function = helper(op.body, "combine", k)
    names = [k.name(value) for value in op.inputs]
    valid = _valid(op.inputs[0], op.dim, k) if op.reverse else None
    if valid is not None:
        function = _or_last_valid(function, len(names), k)
        names.append(valid)
    text = f"tl.associative_scan({_tuple(names)}, {op.dim}, {function}{suffix})"
    _define_all(op.results, text, "running", k, spare=valid is not None)


def _valid(value: Value, dim: int, k: KernelEmitter) -> str | None:
    """Flags of the lanes along `dim` that are real, in the shape of `value`; None where all are."""
    rank = len(value.dims)
    masks = [k.mask(r) for r in sorted(k.layout.active(value.dims[dim].ranges), key=lambda r: r.id)]
    text = " & ".join(spread(m, dim, 1, rank) for m in masks if m is not None)
    if not text:
        return None
    return k.let("valid", f"tl.broadcast_to(({text}).to(tl.int32), {k.shape(value.shape)})")


@emit.register
def _(op: ir.Combine, k: KernelEmitter) -> None:
    names = [masked(v, op.dim, fill, k) for v, fill in zip(op.inputs, op.fills, strict=True)]
    kept = k.kept(op.inputs[0].dims)
    if op.dim not in kept:
        for result, name in zip(op.results, names, strict=True):
            k.define(result, name, "reduced")
        return
    function = helper(op.body, "combine", k)
    _define_all(op.results, f"tl.reduce({_tuple(names)}, {kept.index(op.dim)}, {function})", "reduced", k)
