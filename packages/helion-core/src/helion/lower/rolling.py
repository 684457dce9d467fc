"""Rolling: reductions over a whole dimension R as loops over parts of it, for rows that registers cannot hold.

Works on one block by stages. A value's stage is how many reductions over R it depends on in a row. For each stage in
order: the operations without R, then one loop over R that computes what the stage's reductions read and accumulates
elementwise; each accumulator is folded once behind its loop. What an earlier stage computed along R is computed
again, loads too. Stores along R stand in the last loop, so that nothing is written before it was read for the last
time.

Before: a traced program. After: a program that computes the same, in which no value runs over R in whole.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import sympy
import torch

from .. import ir
from ..ir import Block, Dim, Op, Program, Range, SliceIndex, Value
from .layout import next_power_of_two
from .padding import identity

ARG_KINDS = ("argmax", "argmin")
KINDS = ("sum", "prod", "max", "min", *ARG_KINDS)
PART = 1024  # elements at a time of dimensions whose sizes are not known, where nobody chooses otherwise
_ELEMENTWISE = (ir.Load, ir.Full, ir.Iota, ir.Pointwise, ir.Cast, ir.Bitcast, ir.Permute, ir.Expand, ir.Random)


@dataclasses.dataclass(eq=False, kw_only=True)
class Accumulate(Op):
    """The accumulator (input 0) combined with the value (input 1), whose padding along `dim` counts as the identity.

    For argmax and argmin, input 2 holds positions so far, and there are two results; `range` runs along `dim`.
    """

    effect: ClassVar[bool] = False
    kind: str
    dim: int
    range: Range


@dataclasses.dataclass(eq=False, kw_only=True)
class FoldPosition(Op):
    """The position that goes with the extreme value along `dim`: inputs are accumulated values and positions."""

    effect: ClassVar[bool] = False
    kind: str
    dim: int


def rollable(program: Program) -> list[Range]:
    """Whole dimensions whose reductions can become loops: the entries of `reduction_loops`."""
    found: dict[Range, None] = {}
    for op in program.ops():
        if isinstance(op, ir.Reduce):
            found.update(dict.fromkeys(r for r in op.inputs[0].dims[op.dim].ranges if r.full))
    # whole dimensions of unknown size can only be taken in parts
    dims = (d for op in program.ops() for d in ir.dims_of(op))
    unknown = dict.fromkeys(r for d in dims for r in d.ranges if r.full and not isinstance(r.end, int))
    kept = []
    for r in unknown:  # one loop may stand in the way of another
        if can_roll(program, r):
            kept.append(r)
            program = roll(program, r, PART)
    return [*kept, *(r for r in found if r not in unknown and can_roll(program, r))]


def in_parts(program: Program) -> Program:
    """`program` with dimensions of unknown size taken in parts, where they can be."""
    unknown = [r for r in rollable(program) if not isinstance(r.end, int)]
    return roll_all(program, dict.fromkeys(unknown, default_part(unknown)))


def default_part(entries: Sequence[Range]) -> int:
    """How much of a dimension of unknown size to take at a time, where `entries` can become loops."""
    count = sum(not isinstance(r.end, int) for r in entries)
    return max(16, 1 << (PART.bit_length() - 1) // max(1, count))


def can_roll(program: Program, r: Range) -> bool:
    """Whether every block that works along `r` can be rolled."""
    return all(_block_allows(block, r, program) for phase in program.phases for block in _blocks(phase.body))


def roll(program: Program, r: Range, width: int) -> Program:
    """`program` with reductions over `r` done `width` elements at a time; unchanged where that changes nothing."""
    if isinstance(r.end, int) and next_power_of_two(r.end) <= width:
        return program
    if not can_roll(program, r):
        return program
    base = sympy.Symbol(f"base_{r.name}_{r.id}", integer=True)
    part = Range(name=r.name, begin=0, end=r.end, width=width, base=base)
    roller = _Roller(program, r, part)
    phases = [dataclasses.replace(phase, body=roller.block(phase.body)) for phase in program.phases]
    return dataclasses.replace(program, phases=phases, symbols={**program.symbols, base: part})


def _blocks(block: Block) -> Iterator[Block]:
    yield block
    for op in block.ops:
        for inner in op.blocks:
            yield from _blocks(inner)


# --- what may be rolled


def _runs_over(value: Value, r: Range) -> list[int]:
    return [at for at, dim in enumerate(value.dims) if r in dim.ranges]


def _touches(op: Op, r: Range) -> bool:
    return any(_runs_over(value, r) for value in (*op.inputs, *op.results)) or (
        isinstance(op, ir.Access) and any(r in dim.ranges for dim in op.dims)
    )


def _block_allows(block: Block, r: Range, program: Program) -> bool:
    if any(_runs_over(value, r) for value in (*block.params, *block.yields)):
        return False
    own = {id(value) for op in block.ops for value in op.results}
    touching = [op for op in block.ops if _touches(op, r)]
    if not all(_op_allows(op, r, own) for op in touching):
        return False
    if any(_runs_over(value, r) for op in block.ops if op.blocks for value in _reads(op, program)):
        return False
    return not touching or _memory_allows(block)


def _op_allows(op: Op, r: Range, own: set[int]) -> bool:
    for value in (*op.inputs, *op.results):
        along = _runs_over(value, r)
        if len(along) > 1 or any(len(value.dims[at].ranges) > 1 for at in along):
            return False
        if along and id(value) not in own:
            return False  # computed in a block around this one
    match op:
        case ir.Reduce(kind=kind, dim=dim, inputs=(source,)):
            return r not in source.dims[dim].ranges or kind in KINDS
        case ir.Reshape(inputs=(source,), results=(result,)):
            return [d for d in source.dims if d.size != 1] == [d for d in result.dims if d.size != 1]
        case ir.Access():
            return isinstance(op, (ir.Load, ir.Store)) and sum(r in dim.ranges for dim in op.dims) == 1
        case _:
            return isinstance(op, _ELEMENTWISE)


def _memory_allows(block: Block) -> bool:
    """No tensor is both read and written, or written twice: the order of accesses changes."""
    written: set[str] = set()
    read: set[str] = set()
    for op in block.walk():
        if isinstance(op, ir.Load):
            read.add(op.tensor.source)
        elif isinstance(op, ir.Access):
            if op.tensor.source in written:
                return False
            written.add(op.tensor.source)
        elif op.effect and not op.blocks:
            return False
    return written.isdisjoint(read)


def _reads(op: Op, program: Program) -> Iterator[Value]:
    """Every value that `op` reads: inputs, those that size expressions name, and what inner blocks read."""
    yield from op.inputs
    for size in ir.sizes_of(op):
        if isinstance(size, sympy.Basic):
            found = (program.symbols.get(s) for s in size.free_symbols)  # type: ignore[arg-type]
            yield from (value for value in found if isinstance(value, Value))
    for block in op.blocks:
        yield from block.yields
        for inner in block.ops:
            yield from _reads(inner, program)


# --- the transformation


class _Roller:
    """Rolls every block of a program over one range; `part` is the range of the loops."""

    def __init__(self, program: Program, whole: Range, part: Range) -> None:
        self.program, self.whole, self.part = program, whole, part

    def block(self, block: Block) -> Block:
        """`block` with its own operations rolled, and those of inner blocks."""
        if not any(_touches(op, self.whole) for op in block.walk()):
            return block
        ops = [self._with_blocks(op) for op in block.ops]
        result = Block(block.parent, block.params, ops, block.yields)
        if any(_touches(op, self.whole) for op in ops):
            result.ops = self._stages(ops, block)
        return result

    def _with_blocks(self, op: Op) -> Op:
        names = {f.name: getattr(op, f.name) for f in dataclasses.fields(op)}
        changed: dict[str, Any] = {name: self.block(b) for name, b in names.items() if isinstance(b, Block)}
        changed = {name: b for name, b in changed.items() if b is not names[name]}
        return dataclasses.replace(op, **changed) if changed else op

    def _stages(self, ops: Sequence[Op], block: Block) -> list[Op]:
        stage_of: dict[Value, int] = {}
        at: dict[Op, int] = {}
        for op in ops:
            at[op] = max((stage_of.get(value, 0) for value in _reads(op, self.program)), default=0)
            stage_of.update(dict.fromkeys(op.results, at[op] + self._is_root_reduction(op)))
        along = [op for op in ops if _touches(op, self.whole)]
        reductions = [op for op in along if self._is_root_reduction(op)]
        stores = [op for op in along if isinstance(op, ir.Store)]
        last = max((at[op] for op in (*reductions, *stores)), default=0)
        result: list[Op] = []
        for stage in range(max(at.values()) + 1):
            result += [op for op in ops if op not in along and at[op] == stage]
            roots = [op for op in reductions if at[op] == stage] + (stores if stage == last else [])
            if roots:
                result += _Loop(self, along, roots, block).ops()
        return result

    def _is_root_reduction(self, op: Op) -> bool:
        return isinstance(op, ir.Reduce) and self.whole in op.inputs[0].dims[op.dim].ranges

    def dims(self, dims: tuple[Dim, ...]) -> tuple[Dim, ...]:
        """`dims` with the part in place of the whole."""
        return tuple(Dim(self.part.width, frozenset({self.part})) if self.whole in d.ranges else d for d in dims)


class _Loop:
    """One loop over R: what `roots` need, computed again, then accumulated or stored."""

    def __init__(self, roller: _Roller, along: Sequence[Op], roots: Sequence[Op], block: Block) -> None:
        self.roller, self.roots, self.block = roller, roots, block
        self.body = Block(parent=block)
        self.values: dict[Value, Value] = {}
        needed = _slice(along, roots)
        self.along = [op for op in along if op in needed]
        self.inits: list[Value] = []
        self.before: list[Op] = []
        self.after: list[Op] = []
        self.results: list[Value] = []

    def ops(self) -> list[Op]:
        for op in self.along:
            if op in self.roots and isinstance(op, ir.Reduce):
                self._accumulate(op)
            else:
                self.body.ops.append(self._again(op))
        loop = ir.For(
            range=self.roller.part, body=self.body, number=-1, inputs=tuple(self.inits), results=tuple(self.results),
            line=self.roots[0].line,
        )  # fmt: skip
        return [*self.before, loop, *self.after]

    def _value(self, dims: tuple[Dim, ...], dtype: torch.dtype, hint: str, block: Block) -> Value:
        return Value(dims, dtype, hint, block)

    def _again(self, op: Op) -> Op:
        """`op` on the part."""
        results = []
        for old in op.results:
            new = self.values[old] = self._value(self.roller.dims(old.dims), old.dtype, old.hint, self.body)
            results.append(new)
        inputs = tuple(self.values.get(v, v) for v in op.inputs)
        return dataclasses.replace(op, inputs=inputs, results=tuple(results), **self._changed(op))

    def _changed(self, op: Op) -> dict[str, Any]:
        whole, part = self.roller.whole, self.roller.part
        match op:
            case ir.Access(index=index, dims=dims):
                entries = tuple(
                    e._replace(range=part) if isinstance(e, SliceIndex) and e.range is whole else e for e in index
                )
                return {"index": entries, "dims": self.roller.dims(dims)}
            case ir.Iota(start=start, step=step):
                return {"start": start + step * part.base}
            case _:
                return {}

    def _accumulate(self, op: ir.Reduce) -> None:
        """Carries an accumulator of the part's width through the loop, and folds it behind it."""
        source = self.values[op.inputs[0]]
        dims = list(source.dims)
        dims[op.dim] = Dim(self.roller.part.width)
        fill = identity(op.kind, source.dtype)
        accs = [self._carried(tuple(dims), source.dtype, fill, f"{op.kind}_acc", op)]
        if op.kind in ARG_KINDS:
            accs.append(self._carried(tuple(dims), torch.int32, 0, "position_acc", op))
        new = tuple(self._value(acc.dims, acc.dtype, acc.hint, self.body) for acc in accs)
        inputs = (accs[0], source, *accs[1:])
        self.body.ops.append(
            Accumulate(kind=op.kind, dim=op.dim, range=self.roller.part, inputs=inputs, results=new, line=op.line)
        )
        self.body.yields.extend(new)
        finals = tuple(self._value(acc.dims, acc.dtype, acc.hint, self.block) for acc in accs)
        self.results.extend(finals)
        fold: Op
        if op.kind in ARG_KINDS:
            fold = FoldPosition(kind=op.kind, dim=op.dim, inputs=finals, results=op.results, line=op.line)
        else:
            fold = ir.Reduce(kind=op.kind, dim=op.dim, inputs=finals, results=op.results, line=op.line)
        self.after.append(fold)

    def _carried(self, dims: tuple[Dim, ...], dtype: torch.dtype, fill: float, hint: str, op: Op) -> Value:
        """A parameter of the loop that starts as `fill`."""
        start = self._value(dims, dtype, hint, self.block)
        self.before.append(ir.Full(fill=fill, results=(start,), line=op.line))
        self.inits.append(start)
        param = self._value(dims, dtype, hint, self.body)
        self.body.params.append(param)
        return param


def _slice(along: Sequence[Op], roots: Sequence[Op]) -> set[Op]:
    """The operations along R that `roots` need, themselves included."""
    definitions = {value: op for op in along for value in op.results}
    found: set[Op] = set()
    waiting = list(roots)
    while waiting:
        op = waiting.pop()
        if op not in found:
            found.add(op)
            waiting += [definitions[v] for v in op.inputs if v in definitions]
    return found


def roll_all(program: Program, widths: Mapping[Range, int | None]) -> Program:
    """`program` rolled over every range that has a width."""
    for r, width in widths.items():
        if width is not None:
            program = roll(program, r, width)
    return program
