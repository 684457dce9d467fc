"""Loops of the kernel, and how program ids map to the tiles of the grid."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from types import MappingProxyType

import torch

from .. import ir
from ..ir import Block, Phase, Range
from ..lower.grid import grouping
from ..lower.layout import tiles_of
from .kernel import KernelEmitter, emit


@emit.register
def _(op: ir.For, k: KernelEmitter) -> None:
    if tiles_of(op.range, k.layout) == 0:
        for result, init in zip(op.results, op.inputs, strict=True):
            k.alias(result, init)
        return
    names = [_carried_name(op, init, param, k) for init, param in zip(op.inputs, op.body.params, strict=True)]
    r = op.range
    offset = k.names.fresh(r.name if r.scalar else f"offset_{r.name.removeprefix('tile_')}")
    bounds = f"{k.print(r.begin)}, {k.print(r.end)}, {k.print(r.width) if r.scalar else _step(r, k)}"
    k.write(f"for {offset} in {k.loop_options.iterator(op, bounds, k.layout)}:")
    with k.indented():
        k.enter_range(r, offset)
        partial = _partly_replaced(op, k)
        _write_yields_in_place(op.body, names, k, partial)
        k.block(op.body)
        masks = {slot: k.mask_along(r, op.body.yields[slot].dims, at) for slot, at in partial.items()}
        _hand_over(op.body, names, k, masks)
        if not op.body.ops and not names:
            k.write("pass")
    for result, name in zip(op.results, names, strict=True):
        k.set_name(result, name)


@emit.register
def _(op: ir.While, k: KernelEmitter) -> None:
    names = [_carried_name(op, init, param, k) for init, param in zip(op.inputs, op.body.params, strict=True)]
    for param, name in zip(op.condition.params, names, strict=True):
        k.set_name(param, name)
    with k.scope():
        k.block(op.condition)
    test = k.let("condition", k.name(op.condition.yields[0]))
    k.write(f"while {test}:")
    with k.indented():
        _write_yields_in_place(op.body, names, k)
        k.block(op.body)
        _hand_over(op.body, names, k)
        k.block(op.condition)
        k.write(f"{test} = {k.name(op.condition.yields[0])}")
    for result, name in zip(op.results, names, strict=True):
        k.set_name(result, name)


@emit.register
def _(op: ir.If, k: KernelEmitter) -> None:
    names = [k.names.fresh(result.hint or "chosen") for result in op.results]
    for keyword, block in ((f"if {k.name(op.inputs[0])}", op.then), ("else", op.orelse)):
        if keyword == "else" and not block.ops and not names:
            break
        k.write(f"{keyword}:")
        with k.indented():
            k.block(block)
            for name, value in zip(names, block.yields, strict=True):
                k.write(f"{name} = {k.name(value)}")
            if not block.ops and not names:
                k.write("pass")
    for result, name in zip(op.results, names, strict=True):
        k.set_name(result, name)


def _step(r: Range, k: KernelEmitter) -> str:
    """How far the loop advances: the tile's width, which may be narrower than its padded lanes."""
    width = k.layout.number(r.width)
    return k.size(r.width) if width is None or k.layout.physical(r.width) == width else str(width)


def _carried_name(op: ir.For | ir.While, init: ir.Value, param: ir.Value, k: KernelEmitter) -> str:
    """The variable that a carried value lives in: that of its initial value, where nothing else reads it."""
    name = k.name(init)
    if k.uses[init] != 1 or init.block is not op.body.parent or name in k.shared:
        name = k.let(param.hint or "carried", name)
    k.set_name(param, name)
    return name


def _partly_replaced(op: ir.For, k: KernelEmitter) -> dict[int, int]:
    """Carried values of which a partial tile computes only some lanes: slot -> the dim that the tile runs along."""
    found = {}
    for slot, (param, value) in enumerate(zip(op.body.params, op.body.yields, strict=True)):
        for at, (old, new) in enumerate(zip(param.dims, value.dims, strict=True)):
            if (
                op.range in new.ranges - old.ranges
                and k.layout.needs_mask(op.range)
                and not _adds_zero(op, slot, at, k)
            ):
                found[slot] = at
    return found


def _adds_zero(op: ir.For, slot: int, dim: int, k: KernelEmitter) -> bool:
    """Whether the carried value grows by something that is 0 beyond the end of the tile."""
    param, value = op.body.params[slot], op.body.yields[slot]
    (source,) = [o for o in op.body.ops if value in o.results] or [None]
    if (
        not isinstance(source, ir.Pointwise)
        or source.target is not torch.ops.aten.add.Tensor
        or param not in source.inputs
    ):
        return False
    others = [v for v in source.inputs if v is not param]
    at = [dim - (len(value.dims) - len(v.dims)) for v in others]
    return len(others) == 1 and at[0] >= 0 and k.padding.content(others[0], at[0]) == 0


def _write_yields_in_place(body: Block, names: list[str], k: KernelEmitter, but: Container[int] = ()) -> None:
    """Lets the operation that computes a carried value's next state assign its variable, if nobody reads the old one
    later.
    """
    definitions = {value: at for at, op in enumerate(body.ops) for value in op.results}
    for slot, (param, value, name) in enumerate(zip(body.params, body.yields, names, strict=True)):
        at = definitions.get(value)
        if slot in but:
            continue
        if (
            at is None
            or isinstance(body.ops[at], (ir.For, ir.While, ir.If))
            or value in body.yields[:slot] + body.yields[slot + 1 :]
        ):
            continue
        old = _views_of(param, body)
        if old.isdisjoint(body.yields) and not any(_reads(op, old) for op in body.ops[at + 1 :]):
            k.write_into(value, name)


def _views_of(param: ir.Value, body: Block) -> set[ir.Value]:
    """`param` and what may live in the same variable: the same elements in another shape."""
    found = {param}
    for op in body.walk():
        if isinstance(op, (ir.Reshape, ir.Permute, ir.Expand, ir.Cast, ir.Reduce)) and op.inputs[0] in found:
            found.add(op.result)
    return found


def _reads(op: ir.Op, values: set[ir.Value]) -> bool:
    return not values.isdisjoint(op.inputs) or any(
        not values.isdisjoint(block.yields) or any(_reads(inner, values) for inner in block.ops) for block in op.blocks
    )


def _hand_over(
    body: Block, names: list[str], k: KernelEmitter, masks: Mapping[int, str | None] = MappingProxyType({})
) -> None:
    """Assigns the values for the next iteration, all at once where one of them is still needed for another.

    `masks`: slots of which only some lanes are replaced.
    """
    pairs = [(name, k.name(value)) for name, value in zip(names, body.yields, strict=True)]
    for slot, mask in masks.items():
        name, text = pairs[slot]
        pairs[slot] = name, k.let(f"{name}_next", f"tl.where({mask}, {text}, {name})")
    pairs = [(name, text) for name, text in pairs if name != text]
    targets = {name for name, _ in pairs}
    if any(text in targets for _, text in pairs):
        pairs = [(name, k.let("next", text)) for name, text in pairs]
    for name, text in pairs:
        k.write(f"{name} = {text}")


def _count_text(r: Range, k: KernelEmitter) -> str:
    known = tiles_of(r, k.layout)
    if known is not None:
        return str(known)
    length = k.print(r.end) if r.begin == 0 else f"({k.print(r.end)}) - ({k.print(r.begin)})"
    return f"tl.cdiv({length}, {k.print(r.width)})"


def program_count(phase: Phase, k: KernelEmitter) -> str:
    """How many programs the phase has, as text."""
    return " * ".join(f"({text})" if " " in text else text for text in (_count_text(r, k) for r in phase.ranges))


def emit_side_by_side(phases: Sequence[Phase], pid: str, k: KernelEmitter) -> None:
    """Phases that run at the same time: each has a run of program ids of its own."""
    first, *rest = phases
    if not rest:
        emit_phase(first, pid, k)
        return
    count = k.let("programs", program_count(first, k))
    k.write(f"if {pid} < {count}:")
    with k.indented():
        emit_phase(first, pid, k)
    k.write("else:")
    with k.indented():
        emit_side_by_side(rest, k.let("pid", f"{pid} - {count}"), k)


def emit_phase(phase: Phase, pid: str, k: KernelEmitter) -> None:
    """One top-level loop: tile offsets from the program id, then the body."""
    order, group = grouping(k.program, phase, k.config)
    ranges = [phase.ranges[d] for d in order]  # slowest first
    pids = _grouped(ranges, pid, group, k) if group > 1 else _split(ranges, pid, k)
    emit_tiles(phase, pids, k)


def emit_tiles(phase: Phase, pids: Mapping[Range, str], k: KernelEmitter) -> None:
    """The first index of each tile from its number in its range, then the body."""
    for r in phase.ranges:
        pid = f"{pids[r]}.to(tl.int64)" if k.layout.is_huge(r) and pids[r] != "0" else pids[r]
        text = pid if k.layout.number(r.width) == 1 else f"{pid} * {k.print(r.width)}"
        if r.begin != 0:
            text = k.print(r.begin) if pids[r] == "0" else f"{k.print(r.begin)} + {text}"
        elif pids[r] == "0":
            text = "0"
        k.enter_range(r, k.let(r.name if r.scalar else f"offset_{r.name.removeprefix('tile_')}", text))
    k.block(phase.body)


def _split(ranges: list[Range], pid: str, k: KernelEmitter) -> dict[Range, str]:
    """The tile number in each range, the last range varying fastest."""
    result: dict[Range, str] = {}
    rest = pid
    for r in reversed(ranges[1:]):
        count = _count_text(r, k)
        if count == "1":
            result[r] = "0"
            continue
        suffix = r.name.removeprefix("tile_")
        result[r] = k.let(f"pid_{suffix}", f"{rest} % {count}")
        rest = k.let("pid_rest", f"{rest} // {count}")
    result[ranges[0]] = rest
    return result


def _grouped(ranges: list[Range], pid: str, group: int, k: KernelEmitter) -> dict[Range, str]:
    """Tiles of the two fastest ranges in groups of `group` rows, so that programs running together share cache
    lines.
    """
    *outer, rows, columns = ranges
    row_count, column_count = _count_name("num_rows", rows, k), _count_name("num_columns", columns, k)
    result: dict[Range, str] = {}
    inner = pid
    if outer:
        inner = k.let("pid_inner", f"{pid} % ({row_count} * {column_count})")
        result = _split(outer, k.let("pid_outer", f"{pid} // ({row_count} * {column_count})"), k)
    per_group = k.let("per_group", f"{group} * {column_count}")
    first = k.let("first_row", f"({inner} // {per_group}) * {group}")
    height = k.let("group_rows", f"tl.minimum({row_count} - {first}, {group})")
    result[rows] = k.let(f"pid_{rows.name.removeprefix('tile_')}", f"{first} + ({inner} % {per_group}) % {height}")
    result[columns] = k.let(f"pid_{columns.name.removeprefix('tile_')}", f"({inner} % {per_group}) // {height}")
    return result


def _count_name(hint: str, r: Range, k: KernelEmitter) -> str:
    """The number of tiles as a number or a variable."""
    text = _count_text(r, k)
    return text if text.isdigit() else k.let(hint, text)
