"""The body of the Triton kernel: walks the program and writes one line per operation."""

from __future__ import annotations

import linecache
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import singledispatch
from typing import Any

import sympy

from .. import ir
from ..config import Config
from ..ir import Block, BlockSize, Dim, HostScalar, HostTensor, Program, Range, Size, Value
from ..lower.access import POINTER, Descriptor, access_key, accesses, spelling, unclipped
from ..lower.flatten import Coordinate, FlatView
from ..lower.layout import INT32_MAX, Layout
from ..lower.padding import Padding
from ..lower.pointwise import TRITON_DTYPES
from ..lower.rolling import Accumulate, FoldPosition
from .expressions import Printer, divisors
from .names import Names
from .ranges import LoopOptions

# Kinds of operations whose emitters work on squeezed values: text in which dims of one lane are left out.
SQUEEZED = frozenset({
    ir.Scalar, ir.Number, ir.Full, ir.Indices, ir.Iota, ir.Pointwise, ir.Cast, ir.Permute, ir.Reshape, ir.Expand,
    ir.Reduce, ir.Combine, ir.Dot, ir.Load, ir.Store, ir.Atomic, ir.For, ir.While, ir.If, Accumulate, FoldPosition,
    Coordinate,
})  # fmt: skip


@singledispatch
def emit(op: ir.Op, k: KernelEmitter) -> None:
    """Writes one operation; each kind registers its own in `emit.operations`, `emit.memory` and `emit.loops`."""
    raise AssertionError(f"nothing emits {op.name}")


class KernelEmitter:
    """State of one emission: lines written so far, names of values, what is already computed in each scope.

    Values are held squeezed: a dim of one lane (a batch of 1, a kept reduced dim) is not there in the text, so that
    products stay 2-D and rows 1-D. While an operation outside `SQUEEZED` is written, `name`, `define`, `index` and
    `mask` speak of full shapes instead and convert.
    """

    def __init__(self, program: Program, config: Config, kernel_name: str, traced: Program | None = None) -> None:
        """`program` is written as `config` says, whose lists count the operations of the `traced` program."""
        traced = traced or program
        self.program, self.config = program, config
        sizes = config.get("block_sizes", ())
        self.layout = Layout(program, dict(zip(program.blocks, sizes, strict=True)))
        self._spellings = _spellings(program, traced, config, self.layout)
        self.loop_options = LoopOptions(traced, config)
        self._evictions = _evictions(traced, config)
        self.padding = Padding(program, self.layout, unclipped(program, self._spellings, self.layout))
        self.names = Names({kernel_name})
        self.print = Printer(
            self._symbol, device=True, natural=self._is_natural, wide=self._is_wide_size if program.wide else None,
            part=self._part,
        )  # fmt: skip
        self._buffer: list[Any] = []  # lines, and lists of lines that are filled later
        self.helpers: dict[str, str] = {}
        self._depth = 1
        self._headers: dict[Range, tuple[list[str], int, dict[object, str]]] = {}
        self._top_header: list[str] = []
        self.uses = _count_uses(program)
        self._targets: dict[Value, str] = {}  # values that are written straight into the variable of a loop
        self._values: dict[Value, str] = {}
        self._scopes: list[dict[object, str]] = [{}]
        self._line: tuple[str, int] = ("", 0)
        self.tensors: dict[HostTensor, str] = {t: self.names.fresh(t.name) for t in program.tensors}
        self.scalars: dict[HostScalar, str] = {s: self.names.fresh(s.name) for s in program.scalars}
        self.blocks: dict[BlockSize, str] = {b: self.names.fresh(b.name) for b in program.blocks}
        self._wide = {t: _needs_int64(t, program) for t in program.tensors}
        accessed = {op.tensor for op in program.ops() if isinstance(op, ir.Access)}
        for view in [tensor for tensor in accessed if isinstance(tensor, FlatView)]:
            assert view.origin is not None
            self.tensors[view], self._wide[view] = self.tensors[view.origin], self._wide[view.origin]
        self.descriptors: dict[Descriptor, str] = {}
        self.squeezed = True
        self.shared: set[str] = set()  # variables that several values live in
        self._kept: dict[tuple[Dim, ...], tuple[int, ...]] = {}

    # --- lines

    @property
    def lines(self) -> list[str]:
        """Everything written, in order."""
        return list(_flatten(self._buffer))

    def write(self, text: str) -> None:
        self._buffer.append("    " * self._depth + text)

    @contextmanager
    def indented(self) -> Iterator[None]:
        """A nested scope, indented."""
        self._depth += 1
        with self.scope():
            yield
        self._depth -= 1

    @contextmanager
    def scope(self) -> Iterator[None]:
        """What is remembered in a `with` block is forgotten behind it."""
        self._scopes.append({})
        yield
        self._scopes.pop()

    @contextmanager
    def function(self) -> Iterator[Callable[[], list[str]]]:
        """A function of its own, written apart from the kernel; gives what returns its lines."""
        outer = self._buffer, self._depth, self._scopes, self._line
        self._buffer, self._depth, self._scopes = [], 1, [{}]
        yield lambda: self.lines
        self._buffer, self._depth, self._scopes, self._line = outer

    def let(self, hint: str, text: str) -> str:
        """`name = text`; returns the name."""
        name = self.names.fresh(hint)
        self.write(f"{name} = {text}")
        return name

    def known(self, key: object) -> str | None:
        """What `remember` stored under `key` in this scope or one around it."""
        for scope in reversed(self._scopes):
            if key in scope:
                return scope[key]
        return None

    def remember(self, key: object, name: str) -> str:
        self._scopes[-1][key] = name
        return name

    # --- values and sizes

    def name(self, value: Value) -> str:
        text = self._values[value]
        if self.squeezed or len(self.kept(value.dims)) == len(value.dims):
            return text
        known = self.known(("full", value))
        return known or self.remember(("full", value), self.let(text, self._unsqueezed(text, value)))

    def set_name(self, value: Value, name: str) -> None:
        if not self.squeezed and len(self.kept(value.dims)) != len(value.dims):
            name = self.let(name, self._squeezed(name, value))
        self._values[value] = name

    def alias(self, value: Value, source: Value) -> None:
        """`value` looks like `source` on the device: it lives in the same variable."""
        name = self._values[value] = self._values[source]
        self.shared.add(name)

    def define(self, value: Value, text: str, hint: str = "v") -> str:
        """Gives `value` a variable holding `text`."""
        if not self.squeezed and len(self.kept(value.dims)) != len(value.dims):
            text = self._squeezed(text, value)
        name = self._targets.get(value)
        if name is None:
            name = self.let(value.hint or hint, text)
        else:
            self.write(f"{name} = {text}")
        self._values[value] = name
        return name

    # --- squeezed shapes

    def kept(self, dims: tuple[Dim, ...]) -> tuple[int, ...]:
        """Positions of the dims that have more than one lane."""
        found = self._kept.get(dims)
        if found is None:
            found = tuple(at for at, dim in enumerate(dims) if self.layout.physical(dim.size) != 1)
            self._kept[dims] = found
        return found

    def kept_shape(self, dims: tuple[Dim, ...]) -> str:
        """The shape of a squeezed value with `dims` as text."""
        return self.shape([dims[at].size for at in self.kept(dims)])

    def align(self, text: str, dims: tuple[Dim, ...], at: int, target: tuple[Dim, ...]) -> str:
        """`text`, a value of `dims` that stand at `at`... of `target`, with unit dims added so that it broadcasts to
        it.
        """
        if not self.squeezed:
            return spread(text, at, len(dims), len(target))
        own = {at + position for position in self.kept(dims)}
        wanted = self.kept(target)
        if not own or len(own) == len(wanted):
            return text
        return f"{text}[{', '.join(':' if position in own else 'None' for position in wanted)}]"

    def _squeezed(self, text: str, value: Value) -> str:
        """Full text to squeezed text."""
        if self.kept(value.dims):
            return f"tl.reshape({text}, {self.kept_shape(value.dims)})"
        self.helpers["_first"] = "@triton.jit\ndef _first(a, b):\n    return a\n"
        return f"tl.reduce(tl.reshape({text}, [1]), 0, _first)"

    def _unsqueezed(self, text: str, value: Value) -> str:
        """Squeezed text to full text."""
        kept = self.kept(value.dims)
        if not kept:
            return f"tl.full({self.shape(value.shape)}, {text}, {TRITON_DTYPES[value.dtype]})"
        return f"{text}[{', '.join(':' if at in kept else 'None' for at in range(len(value.dims)))}]"

    def write_into(self, value: Value, name: str) -> None:
        """Has the operation that defines `value` assign the existing variable `name`."""
        self._targets[value] = name

    def start(self) -> None:
        """Opens the place for indices of whole dimensions, at the top of the kernel."""
        self._buffer.append(self._top_header)

    def shape(self, sizes: Iterator[Size] | tuple[Size, ...] | list[Size]) -> str:
        """A shape as Triton text, padded: `[BLOCK_M, 1024]`."""
        return "[" + ", ".join(map(self.size, sizes)) + "]"

    def size(self, size: Size) -> str:
        """A padded size as text: the name of a block size, or a number."""
        if isinstance(size, sympy.Symbol):
            found = self.program.symbols.get(size)
            if isinstance(found, BlockSize):
                return self.blocks[found]
        return str(self.layout.physical(size))

    def _symbol(self, symbol: sympy.Symbol) -> str:
        match self.program.symbols[symbol]:
            case Value() as value:
                return self.name(value)
            case Range() as r:
                return self._offset(r)
            case BlockSize() as block:
                return self.blocks[block]
            case HostScalar() as scalar:
                return self.scalars[scalar]
            case found:
                raise AssertionError(found)

    def _part(self, e: sympy.Expr, hint: str, text: Callable[[], str]) -> str:
        """The name of `e`, which is computed where the innermost of the tiles that it depends on begins; `e` itself
        where it depends on more than tiles and sizes, or divides by what may be 0. A branch or a loop may keep that
        from happening, and where it happened before, LLVM would take the branch for certain.
        """
        found = self.known(("part", e))
        if found is not None:
            return found
        if not all(map(self._is_never_zero, divisors(e))):
            return text()
        tiles = [
            symbol for symbol in map(self.program.symbols.__getitem__, e.free_symbols) if isinstance(symbol, Range)
        ]
        if not tiles or any(isinstance(self.program.symbols[symbol], Value) for symbol in e.free_symbols):
            return text()
        roots = {r if r in self._headers else _root(r) for r in tiles}
        places = {id(scope): at for at, scope in enumerate(self._scopes)}
        order = {r: (places.get(id(self._headers[r][2]), -1), at) for at, r in enumerate(self._headers) if r in roots}
        if len(order) < len(roots) or min(order.values())[0] < 0:
            return text()
        return self._in_header(max(roots, key=order.__getitem__), ("part", e), hint, text())

    def _is_never_zero(self, e: sympy.Basic) -> bool:
        if isinstance(e, sympy.Mul):
            return all(map(self._is_never_zero, e.args))
        if isinstance(e, sympy.Symbol):
            return isinstance(self.program.symbols[e], BlockSize)
        return bool(e.is_Integer) and e != 0

    def _is_natural(self, symbol: sympy.Symbol) -> bool:
        match self.program.symbols[symbol]:
            case Range(begin=begin):
                return self.print.never_negative(begin)
            case HostScalar(is_size=is_size):
                return is_size
            case found:
                return isinstance(found, BlockSize)

    def _is_wide_size(self, symbol: sympy.Symbol) -> bool:
        """Whether it is a size of tensors so large that products of their sizes exceed 32 bits."""
        found = self.program.symbols[symbol]
        return isinstance(found, HostScalar) and found.is_size

    def is_wide(self, tensor: HostTensor) -> bool:
        """Whether offsets into `tensor` need 64 bits."""
        return self._wide[tensor]

    # --- memory

    def spelling(self, op: ir.Access) -> str:
        """How a load or store is written: `pointer`, `block_ptr` or `tensor_descriptor`."""
        return self._spellings[op]

    def eviction(self, op: ir.Load) -> str:
        """The cache hint of a load, or nothing."""
        return self._evictions.get(access_key(op), "")

    def descriptor(self, descriptor: Descriptor) -> str:
        """The parameter that holds `descriptor`."""
        if descriptor not in self.descriptors:
            self.descriptors[descriptor] = self.names.fresh(f"{self.tensors[descriptor.tensor]}_desc")
        return self.descriptors[descriptor]

    # --- ranges

    def enter_range(self, r: Range, offset: str) -> None:
        """Declares `offset` as the first index of the current tile of `r`; index and mask are written here when
        used.
        """
        self.remember(("offset", r), offset)
        self._open_header(r)

    def _open_header(self, r: Range) -> None:
        """A place for lines that several operations below share."""
        header: list[str] = []
        self._buffer.append(header)
        self._headers[r] = header, self._depth, self._scopes[-1]

    def _in_header(self, r: Range, key: object, hint: str, text: str) -> str:
        header, depth, scope = self._headers[r if r in self._headers else _root(r)]
        name = self.names.fresh(hint)
        header.append("    " * depth + f"{name} = {text}")
        scope[key] = name
        return name

    def index(self, r: Range) -> str:
        """The indices of the current tile of `r`: a vector, or a scalar where squeezed and the tile has one lane."""
        scalar = self.squeezed and self.layout.physical(r.width) == 1
        if scalar:
            return "0" if r.full else self._offset(r)
        found = self.known(("index", r))
        if found is None:
            suffix = r.name.removeprefix("tile_")
            lanes = f"tl.arange(0, {self.size(r.width)})"
            if r.full and r not in self._headers:
                self._headers[r] = self._top_header, 1, self._scopes[0]
            text = lanes if r.full else f"{self._offset(r)} + {lanes}"
            if self.layout.is_wide(r) and not self.layout.is_huge(r):
                text = f"({text}).to(tl.int32)"
            found = self._in_header(r, ("index", r), f"index_{suffix}", text)
        return found

    def _offset(self, r: Range) -> str:
        name = self.known(("offset", r))
        if name is None and r.parent is not None:
            return self.print(r.base)
        assert name is not None, f"the offset of {r} is used outside its loop"
        return name

    def mask(self, r: Range) -> str | None:
        """The mask of the current tile of `r`, shaped like its index, or None where every lane is inside."""
        if not self.layout.needs_mask(r):
            return None
        scalar = self.squeezed and self.layout.physical(r.width) == 1
        if scalar and r.full:
            return f"({self.index(r)} < {self.print(r.end)})"
        found = self.known(("mask", r, scalar))
        if found is None:
            suffix = r.name.removeprefix("tile_")
            text = f"{self.index(r)} < {self.print(r.end)}"
            width = self.layout.number(r.width)
            if not r.full and width is not None and self.layout.physical(r.width) != width:
                text = f"({text}) & (tl.arange(0, {self.size(r.width)}) < {width})"
            found = self._in_header(r, ("mask", r, scalar), f"mask_{suffix}", text)
        return found

    def mask_along(self, r: Range, dims: tuple[Dim, ...], at: int) -> str | None:
        """The mask of `r`, which dim `at` runs over, aligned with a value of `dims`."""
        text = self.mask(r)
        return text if text is None else self.align(text, dims[at : at + 1], at, dims)

    # --- blocks

    def block(self, block: Block) -> None:
        outer = self.squeezed
        for op in block.ops:
            self._comment(op)
            self.squeezed = type(op) in SQUEEZED
            emit(op, self)
        self.squeezed = outer

    def _comment(self, op: ir.Op) -> None:
        """The user's source line, once per run of operations that come from it."""
        if op.line != self._line and op.line[1]:
            self._line = op.line
            text = linecache.getline(*op.line).strip()
            if text:
                self.write(f"# {os.path.basename(op.line[0])}:{op.line[1]}: {text}")


def _spellings(program: Program, traced: Program, config: Config, layout: Layout) -> dict[ir.Access, str]:
    """How every load and store is written."""
    wanted = config.get("indexing", POINTER)
    keys = list(map(access_key, accesses(traced)))
    each = dict.fromkeys(keys, wanted) if isinstance(wanted, str) else dict(zip(keys, wanted, strict=True))
    return {op: spelling(op, each[access_key(op)], layout, program) for op in accesses(program)}


_EVICTION = {"": "", "first": "evict_first", "last": "evict_last"}


def _evictions(program: Program, config: Config) -> dict[tuple[str, int], str]:
    """The cache hint of every load."""
    chosen = config.get("load_eviction_policies", ())
    keys = dict.fromkeys(access_key(op) for op in program.ops() if isinstance(op, ir.Load) and op.eviction is None)
    return {key: _EVICTION[policy] for key, policy in zip(keys, chosen, strict=False)}


def _root(r: Range) -> Range:
    """The range of a loop from which reshapes derived `r`."""
    return r if r.parent is None else _root(r.parent)


def spread(text: str, at: int, count: int, rank: int) -> str:
    """`text`, a value of `count` dims, placed at dims `at`... of a value of `rank` dims by adding unit dims."""
    if count == 0 or count == rank:
        return text
    parts = ["None"] * at + [":"] * count + ["None"] * (rank - at - count)
    return f"{text}[{', '.join(parts)}]"


def _flatten(buffer: list[Any]) -> Iterator[str]:
    for entry in buffer:
        if isinstance(entry, str):
            yield entry
        else:
            yield from entry


def _count_uses(program: Program) -> Counter[Value]:
    uses: Counter[Value] = Counter()
    for op in program.ops():
        uses.update(op.inputs)
        for block in op.blocks:
            uses.update(block.yields)
    for symbol_value in program.symbols.values():
        if isinstance(symbol_value, Value):
            uses[symbol_value] += 2
    return uses


def _needs_int64(tensor: HostTensor, program: Program) -> bool:
    """Whether the last element's offset exceeds 32 bits; for sizes of the host the program knows."""
    if not all(isinstance(s, int) for s in (*tensor.sizes, *tensor.strides)):
        return program.wide
    last = sum(max(size - 1, 0) * abs(stride) for size, stride in zip(tensor.sizes, tensor.strides, strict=True))  # type: ignore[operator]
    return last > INT32_MAX  # type: ignore[operator]
