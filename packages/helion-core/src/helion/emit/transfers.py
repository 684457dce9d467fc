"""Loads and stores, by pointers or in blocks."""

from __future__ import annotations

import torch

from .. import ir
from ..lower.access import POINTER
from . import blocks
from .kernel import KernelEmitter, emit
from .memory import address, mask, operand


@emit.register
def _(op: ir.Load, k: KernelEmitter) -> None:
    kind, eviction = k.spelling(op), op.eviction or k.eviction(op)
    hint = f"{k.tensors[op.tensor]}_tile"
    if kind != POINTER:
        k.define(op.result, blocks.load_text(op, kind, k, eviction), hint)
        return
    where = mask(op, k)
    arguments = [address(op, k)]
    if where is not None:
        arguments += [f"mask={where}", "other=0" if not op.result.dtype.is_floating_point else "other=0.0"]
    if eviction:
        arguments.append(f"eviction_policy={eviction!r}")
    text = f"tl.load({', '.join(arguments)})"
    if op.result.dtype is torch.bool:
        text = f"({text} != 0)"
    k.define(op.result, text, hint)


@emit.register
def _(op: ir.Store, k: KernelEmitter) -> None:
    kind = k.spelling(op)
    if kind != POINTER:
        blocks.write_store(op, kind, operand(op, 0, k), k)
        return
    where = mask(op, k)
    suffix = f", mask={where}" if where is not None else ""
    k.write(f"tl.store({address(op, k)}, {operand(op, 0, k)}{suffix})")
