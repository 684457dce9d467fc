"""Values computed from values: elementwise, views, reductions, matrix products, constants."""

from __future__ import annotations

import re

import torch

from .. import ir
from ..ir import Value
from ..lower.padding import identity
from ..lower.pointwise import TRITON_DTYPES, cast_text
from .kernel import KernelEmitter, emit
from .memory import spread

HELPERS = {
    "_max": "@triton.jit\ndef _max(a, b):\n    return tl.maximum(a, b, tl.PropagateNan.ALL)\n",
    "_min": "@triton.jit\ndef _min(a, b):\n    return tl.minimum(a, b, tl.PropagateNan.ALL)\n",
    "_prod": "@triton.jit\ndef _prod(a, b):\n    return a * b\n",
    "_argmax": (
        "@triton.jit\ndef _argmax(a, i, b, j):\n"
        "    keep = (a > b) | ((a != a) & (b == b)) | (((a == b) | ((a != a) & (b != b))) & (i < j))\n"
        "    return tl.where(keep, a, b), tl.where(keep, i, j)\n"
    ),
    "_argmin": (
        "@triton.jit\ndef _argmin(a, i, b, j):\n"
        "    keep = (a < b) | ((a != a) & (b == b)) | (((a == b) | ((a != a) & (b != b))) & (i < j))\n"
        "    return tl.where(keep, a, b), tl.where(keep, i, j)\n"
    ),
}  # fmt: skip


def literal(value: object, dtype: torch.dtype) -> str:
    """A Python number as Triton text of the given dtype."""
    if dtype is torch.bool:
        return str(bool(value))
    if not dtype.is_floating_point:
        return str(int(value))  # type: ignore[call-overload]
    number = float(value)  # type: ignore[arg-type]
    return repr(number) if number == number and abs(number) != float("inf") else f"float('{number}')"


def masked(value: Value, dim: int, fill: int | float, k: KernelEmitter) -> str:
    """The name of `value` with its padding along `dim` replaced by `fill`, where it may hold anything else."""
    needed = k.layout.active(value.dims[dim].ranges)
    if not needed:
        return k.name(value)
    content = k.padding.content(value, dim)
    if content is not None and content == fill:
        return k.name(value)
    key = ("masked", value, dim, fill)
    found = k.known(key)
    if found is None:
        rank = len(value.dims)
        masks = [k.mask(r) for r in sorted(needed, key=lambda r: r.id)]
        where = " & ".join(spread(m, dim, 1, rank) for m in masks if m is not None)
        text = f"tl.where({where}, {k.name(value)}, {literal(fill, value.dtype)})"
        found = k.remember(key, k.let(f"{k.name(value)}_masked", text))
    return found


@emit.register
def _(op: ir.Scalar, k: KernelEmitter) -> None:
    k.define(op.result, f"tl.full([], {k.print(op.expr)}, {TRITON_DTYPES[op.result.dtype]})", "scalar")


@emit.register
def _(op: ir.Full, k: KernelEmitter) -> None:
    dtype = TRITON_DTYPES[op.result.dtype]
    fill = literal(op.fill, op.result.dtype) if op.fill is not None else k.name(op.inputs[0])
    k.define(op.result, f"tl.full({k.shape(op.result.shape)}, {fill}, {dtype})", "full")


@emit.register
def _(op: ir.Indices, k: KernelEmitter) -> None:
    name = k.index(op.range)
    if op.offset == 0:
        k.set_name(op.result, name)
    else:
        k.define(op.result, f"{name} + {k.print(op.offset)}")


@emit.register
def _(op: ir.Iota, k: KernelEmitter) -> None:
    text = f"tl.arange(0, {k.size(op.result.shape[0])})"
    if op.step != 1:
        text = f"{text} * {k.print(op.step)}"
    if op.start != 0:
        text = f"{k.print(op.start)} + {text}"
    k.define(op.result, text, "iota")


_LINE = re.compile(r"\$(\d+)\$")


@emit.register
def _(op: ir.Pointwise, k: KernelEmitter) -> None:
    operands = [k.name(v) for v in op.inputs]
    lines: list[str] = []

    def fill(text: str) -> str:
        return _LINE.sub(lambda m: lines[int(m[1])], text).format(*operands)

    for line in op.template.lines:
        lines.append(k.let("t", fill(line)))
    k.define(op.result, fill(op.template.result))


@emit.register
def _(op: ir.Cast, k: KernelEmitter) -> None:
    (source,) = op.inputs
    k.define(op.result, cast_text(k.name(source), source.dtype, op.result.dtype))


@emit.register
def _(op: ir.Permute, k: KernelEmitter) -> None:
    order = ", ".join(map(str, op.order))
    k.define(op.result, f"tl.permute({k.name(op.inputs[0])}, [{order}])")


@emit.register
def _(op: ir.Reshape, k: KernelEmitter) -> None:
    source, result = op.inputs[0], op.result
    if not source.dims:
        k.define(result, f"tl.full({k.shape(result.shape)}, {k.name(source)}, {TRITON_DTYPES[result.dtype]})")
        return
    k.define(result, _unit_dims_text(k.name(source), source, result) or f"tl.reshape({k.name(source)}, {k.shape(result.shape)})")


def _unit_dims_text(name: str, source: Value, result: Value) -> str | None:
    """`x[:, None]` where the reshape only adds unit dims."""
    parts: list[str] = []
    old = list(source.dims)
    for dim in result.dims:
        if old and dim == old[0]:
            parts.append(":")
            old.pop(0)
        elif dim.size == 1:
            parts.append("None")
        else:
            return None
    return f"{name}[{', '.join(parts)}]" if not old else None


@emit.register
def _(op: ir.Expand, k: KernelEmitter) -> None:
    k.define(op.result, f"tl.broadcast_to({k.name(op.inputs[0])}, {k.shape(op.result.shape)})")


@emit.register
def _(op: ir.Reduce, k: KernelEmitter) -> None:
    (source,) = op.inputs
    fill = identity(op.kind, source.dtype)
    name = masked(source, op.dim, fill, k)
    if op.kind == "sum":
        text = f"tl.sum({name}, {op.dim})"
    else:
        helper = f"_{op.kind}"
        k.helpers[helper] = HELPERS[helper]
        if op.kind in ("argmax", "argmin"):
            rank = len(source.dims)
            lanes = spread(f"tl.arange(0, {k.size(source.shape[op.dim])})", op.dim, 1, rank)
            positions = k.let("positions", f"tl.broadcast_to({lanes}, {k.shape(source.shape)})")
            first = k.names.fresh("extreme")
            result = k.names.fresh(op.result.hint or "position")
            k.write(f"{first}, {result} = tl.reduce(({name}, {positions}), {op.dim}, {helper})")
            k.set_name(op.result, result)
            return
        text = f"tl.reduce({name}, {op.dim}, {helper})"
    k.define(op.result, text, op.kind)


@emit.register
def _(op: ir.Dot, k: KernelEmitter) -> None:
    a, b = op.inputs[:2]
    left, right = masked(a, len(a.dims) - 1, 0, k), masked(b, len(b.dims) - 2, 0, k)
    shape = k.layout.physical_shape(op.result)
    unit_batch = len(shape) > 2 and all(size == 1 for size in shape[:-2])
    if len(shape) > 2:
        left, right = (_batched(n, v, op.result, unit_batch, k) for n, v in ((left, a), (right, b)))
    arguments = [left, right]
    if len(op.inputs) > 2:
        acc = k.name(op.inputs[2])
        arguments.append(f"acc={_flat(acc, op.inputs[2], unit_batch, k)}" if len(shape) > 2 else f"acc={acc}")
    if op.precision is not None:
        arguments.append(f"input_precision={op.precision!r}")
    text = f"tl.dot({', '.join(arguments)}, out_dtype={TRITON_DTYPES[op.result.dtype]})"
    if len(shape) > 2:
        text = f"tl.reshape({text}, {k.shape(op.result.shape)})"
    k.define(op.result, text, "dot")


@emit.register
def _(op: ir.DotScaled, k: KernelEmitter) -> None:
    rest = list(op.inputs)
    operands: list[str] = []
    for side, (element, scaled) in enumerate(zip(op.formats, op.scaled, strict=True)):
        value = rest.pop(0)
        operands.append(masked(value, len(value.dims) - 1 - side, 0, k))
        operands.append(k.name(rest.pop(0)) if scaled else "None")
        operands.append(repr(element))
    if rest:
        operands.append(f"acc={k.name(rest[0])}")
    k.define(op.result, f"tl.dot_scaled({', '.join(operands)}, out_dtype={TRITON_DTYPES[op.result.dtype]})", "dot")


def _batched(name: str, value: Value, result: Value, unit_batch: bool, k: KernelEmitter) -> str:
    """An operand with its batch dims broadcast to those of the result, as Triton's 2-D or 3-D dot wants it."""
    batch = [d.size for d in result.dims[:-2]]
    if not unit_batch and [d.size for d in value.dims[:-2]] != batch:
        missing = len(batch) - (len(value.dims) - 2)
        name = spread(name, missing, len(value.dims), len(result.dims))
        name = f"tl.broadcast_to({name}, {k.shape([*batch, *value.shape[-2:]])})"
        return _flat_text(name, [*batch, *value.shape[-2:]], k)
    return _flat(name, value, unit_batch, k)


def _flat(name: str, value: Value, unit_batch: bool, k: KernelEmitter) -> str:
    if unit_batch:
        return name if len(value.dims) == 2 else f"tl.reshape({name}, {k.shape(value.shape[-2:])})"
    return _flat_text(name, list(value.shape), k)


def _flat_text(name: str, shape: list[ir.Size], k: KernelEmitter) -> str:
    if len(shape) == 3:
        return name
    batch = 1
    for size in shape[:-2]:
        batch *= k.layout.physical(size)
    return f"tl.reshape({name}, [{batch}, {k.size(shape[-2])}, {k.size(shape[-1])}])"
