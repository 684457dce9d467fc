"""Printing, assertions, and text of the user's own: assembly, Triton lines, Triton functions."""

from __future__ import annotations

import textwrap
from typing import Any

from .. import ir
from ..ir import Slot
from ..lower.pointwise import TRITON_DTYPES
from .kernel import KernelEmitter, emit
from .operations import masked


@emit.register
def _(op: ir.Print, k: KernelEmitter) -> None:
    k.write(f"tl.device_print({', '.join([repr(op.prefix), *map(k.name, op.inputs)])})")


@emit.register
def _(op: ir.Assert, k: KernelEmitter) -> None:
    (value,) = op.inputs
    name = k.name(value)
    for dim in range(len(value.dims)):
        stand_in = ir.Value(value.dims, value.dtype)
        k.set_name(stand_in, name)
        name = masked(stand_in, dim, True, k)
    k.write(f"tl.device_assert({name}, {op.message!r})")


@emit.register
def _(op: ir.InlineAsm, k: KernelEmitter) -> None:
    dtypes = [TRITON_DTYPES[result.dtype] for result in op.results]
    names = [k.names.fresh(result.hint or "asm") for result in op.results]
    arguments = ", ".join(k.name(value) for value in op.inputs)
    dtype = dtypes[0] if len(dtypes) == 1 else f"({', '.join(dtypes)})"
    k.write(
        f"{', '.join(names)} = tl.inline_asm_elementwise({op.asm!r}, {op.constraints!r}, [{arguments}], "
        f"dtype={dtype}, is_pure={op.is_pure}, pack={op.pack})"
    )
    for result, name in zip(op.results, names, strict=True):
        k.set_name(result, name)


def _operand(argument: Any, op: ir.Op, k: KernelEmitter) -> str:
    return k.name(op.inputs[argument.index]) if isinstance(argument, Slot) else repr(argument)


@emit.register
def _(op: ir.InlineTriton, k: KernelEmitter) -> None:
    operands = {name: _operand(argument, op, k) for name, argument in op.names}
    positional = [operands[str(n)] for n in range(len(operands))] if "0" in operands else []
    lines = textwrap.dedent(op.source).strip("\n").format(*positional, **operands).split("\n")
    body, last = (lines[:-1], lines[-1]) if op.results else (lines, None)
    for line in body:
        k.write(line)
    if last is not None:
        _assign(op.results, last.strip(), k)


@emit.register
def _(op: ir.CallTriton, k: KernelEmitter) -> None:
    for name, text in op.helpers:
        k.helpers[name] = text
    _assign(op.results, f"{op.function}({', '.join(_operand(a, op, k) for a in op.args)})", k)


def _assign(results: tuple[ir.Value, ...], text: str, k: KernelEmitter) -> None:
    names = [k.names.fresh(result.hint or "inline") for result in results]
    k.write(f"{', '.join(names)} = {text}" if names else text)
    for result, name in zip(results, names, strict=True):
        k.set_name(result, name)
