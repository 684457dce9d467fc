"""Values computed from values: elementwise, views, reductions, matrix products, constants."""

from __future__ import annotations

import math
import re

import torch

from .. import ir
from ..ir import Value
from ..lower.flatten import Coordinate
from ..lower.padding import identity
from ..lower.pointwise import TRITON_DTYPES, cast_text
from ..lower.spellings import number_text
from .kernel import KernelEmitter, emit

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
    return number_text(float(value))  # type: ignore[arg-type]


def masked(value: Value, dim: int, fill: int | float, k: KernelEmitter) -> str:
    """The name of `value` with its padding along `dim` replaced by `fill`, where it may hold anything else."""
    needed = k.layout.active(value.dims[dim].ranges)
    if not needed:
        return k.name(value)
    content = k.padding.content(value, dim)
    if content is not None and content == fill:
        return k.name(value)
    key = ("masked", value, dim, fill, k.squeezed)
    found = k.known(key)
    if found is None:
        masks = [k.mask_along(r, value.dims, dim) for r in sorted(needed, key=lambda r: r.id)]
        where = " & ".join(m for m in masks if m is not None)
        text = f"tl.where({where}, {k.name(value)}, {literal(fill, value.dtype)})"
        found = k.remember(key, k.let(f"{k.name(value)}_masked", text))
    return found


@emit.register
def _(op: ir.Scalar, k: KernelEmitter) -> None:
    k.define(op.result, f"tl.full([], {k.print(op.expr)}, {TRITON_DTYPES[op.result.dtype]})", "scalar")


@emit.register
def _(op: ir.Number, k: KernelEmitter) -> None:
    text = k.print(op.expr)
    k.shared.add(text)
    k.set_name(op.result, text)


@emit.register
def _(op: ir.Full, k: KernelEmitter) -> None:
    dtype = TRITON_DTYPES[op.result.dtype]
    fill = literal(op.fill, op.result.dtype) if op.fill is not None else k.name(op.inputs[0])
    k.define(op.result, f"tl.full({k.kept_shape(op.result.dims)}, {fill}, {dtype})", "full")


@emit.register
def _(op: ir.Indices, k: KernelEmitter) -> None:
    name = k.index(op.range)
    if not k.kept(op.result.dims):
        name = f"tl.full([], {name}, tl.int32)"
    if op.offset == 0 and name.isidentifier():
        k.shared.add(name)
        k.set_name(op.result, name)
    else:
        k.define(op.result, f"{name} + {k.print(op.offset)}" if op.offset != 0 else name)


def _parenthesised(size: ir.Size, k: KernelEmitter) -> str:
    text = k.print(size)
    return f"({text})" if " " in text else text


@emit.register
def _(op: Coordinate, k: KernelEmitter) -> None:
    text = k.index(op.range)
    if op.divisor != 1:
        text = f"{text} // {_parenthesised(op.divisor, k)}"
    if op.modulus is not None:
        text = f"{text} % {_parenthesised(op.modulus, k)}"
    k.define(op.result, text if k.kept(op.result.dims) else f"tl.full([], {text}, tl.int32)", "index")


@emit.register
def _(op: ir.Iota, k: KernelEmitter) -> None:
    if not k.kept(op.result.dims):
        k.define(op.result, f"tl.full([], {k.print(op.start)}, tl.int32)", "iota")
        return
    text = f"tl.arange(0, {k.size(op.result.shape[0])})"
    if op.step != 1:
        text = f"{text} * {k.print(op.step)}"
    if op.start != 0:
        text = f"{k.print(op.start)} + {text}"
    k.define(op.result, text, "iota")


_LINE = re.compile(r"\$(\d+)\$")


@emit.register
def _(op: ir.Pointwise, k: KernelEmitter) -> None:
    dims = op.result.dims
    operands = [k.align(k.name(v), v.dims, len(dims) - len(v.dims), dims) for v in op.inputs]
    lines: list[str] = []

    def fill(text: str) -> str:
        return _LINE.sub(lambda m: lines[int(m[1])], text).format(*operands)

    for line in op.template.lines:
        lines.append(k.let("t", fill(line)))
    k.define(op.result, fill(op.template.result))


@emit.register
def _(op: ir.Cast, k: KernelEmitter) -> None:
    (source,) = op.inputs
    if source.dtype == op.result.dtype:
        k.alias(op.result, source)
    else:
        k.define(op.result, cast_text(k.name(source), source.dtype, op.result.dtype))


@emit.register
def _(op: ir.Permute, k: KernelEmitter) -> None:
    (source,) = op.inputs
    kept = k.kept(source.dims)
    order = [kept.index(axis) for axis in op.order if axis in kept]
    if order == sorted(order):
        k.alias(op.result, source)
    else:
        k.define(op.result, f"tl.permute({k.name(source)}, {order})")


@emit.register
def _(op: ir.Reshape, k: KernelEmitter) -> None:
    source, result = op.inputs[0], op.result
    old, new = ([k.layout.physical(v.dims[at].size) for at in k.kept(v.dims)] for v in (source, result))
    if old == new:
        k.alias(result, source)
    else:
        k.define(result, f"tl.reshape({k.name(source)}, {k.kept_shape(result.dims)})")


@emit.register
def _(op: ir.Expand, k: KernelEmitter) -> None:
    (source,) = op.inputs
    if k.kept(source.dims) == k.kept(op.result.dims):
        k.alias(op.result, source)
        return
    text = k.align(k.name(source), source.dims, 0, op.result.dims)
    k.define(op.result, f"tl.broadcast_to({text}, {k.kept_shape(op.result.dims)})")


@emit.register
def _(op: ir.Reduce, k: KernelEmitter) -> None:
    (source,) = op.inputs
    name = masked(source, op.dim, identity(op.kind, source.dtype), k)
    kept = k.kept(source.dims)
    position = op.kind in ("argmax", "argmin")
    if op.dim not in kept:
        if position:
            k.define(op.result, f"tl.full({k.kept_shape(op.result.dims)}, 0, tl.int32)", "position")
        else:
            k.shared.add(name)
            k.set_name(op.result, name)
        return
    axis = kept.index(op.dim)
    if op.kind == "sum":
        total = f"tl.sum({name}, {axis})"
        narrow = not source.dtype.is_floating_point and source.dtype.itemsize < 4  # which Triton sums up in 32 bits
        k.define(op.result, cast_text(total, torch.int32, op.result.dtype) if narrow else total, "sum")
        return
    helper = f"_{op.kind}"
    k.helpers[helper] = HELPERS[helper]
    if not position:
        k.define(op.result, f"tl.reduce({name}, {axis}, {helper})", op.kind)
        return
    lanes = k.align(
        f"tl.arange(0, {k.size(source.shape[op.dim])})", source.dims[op.dim : op.dim + 1], op.dim, source.dims
    )
    positions = k.let("positions", f"tl.broadcast_to({lanes}, {k.kept_shape(source.dims)})")
    first = k.names.fresh("extreme")
    result = k.names.fresh(op.result.hint or "position")
    k.write(f"{first}, {result} = tl.reduce(({name}, {positions}), {axis}, {helper})")
    k.set_name(op.result, result)


@emit.register
def _(op: ir.Dot, k: KernelEmitter) -> None:
    a, b = op.inputs[:2]
    left, right = masked(a, len(a.dims) - 1, 0, k), masked(b, len(b.dims) - 2, 0, k)
    batch = [at for at in k.kept(op.result.dims) if at < len(op.result.dims) - 2]
    arguments = [_matrix(left, a, op.result, batch, k), _matrix(right, b, op.result, batch, k)]
    if len(op.inputs) > 2:
        arguments.append(f"acc={_matrix(k.name(op.inputs[2]), op.inputs[2], op.result, batch, k)}")
    if op.precision is not None:
        arguments.append(f"input_precision={op.precision!r}")
    text = f"tl.dot({', '.join(arguments)}, out_dtype={TRITON_DTYPES[op.result.dtype]})"
    if len(batch) > 1 or len(k.kept(op.result.dims)) != len(batch) + 2:
        text = f"tl.reshape({text}, {k.kept_shape(op.result.dims)})"
    k.define(op.result, text, "dot")


def _matrix(name: str, value: Value, result: Value, batch: list[int], k: KernelEmitter) -> str:
    """An operand as Triton's dot wants it: two dims, or three with all batch dims of the result in the first."""
    missing = len(result.dims) - len(value.dims)
    kept = {missing + at for at in k.kept(value.dims)}
    wanted = [*batch, len(result.dims) - 2, len(result.dims) - 1]
    if not kept.issuperset(wanted):
        if not kept:
            name = f"tl.full([{', '.join('1' for _ in wanted)}], {name}, {TRITON_DTYPES[value.dtype]})"
        else:
            name = f"{name}[{', '.join(':' if at in kept else 'None' for at in wanted)}]"
    if not batch:
        return name
    sizes = [result.dims[at].size for at in batch]
    if not kept.issuperset(batch):
        name = f"tl.broadcast_to({name}, {k.shape([*sizes, *value.shape[-2:]])})"
    if len(batch) == 1:
        return name
    count = math.prod(map(k.layout.physical, sizes))
    return f"tl.reshape({name}, [{count}, {k.size(value.shape[-2])}, {k.size(value.shape[-1])}])"


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
