"""The tracing engine: runs a rewritten kernel once and records what its tile loops compute."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import sympy
import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._sympy.functions import CeilDiv, FloorDiv, Max, Min

from .. import exc, ir, location
from ..frontend.engine import Body, DeviceLoop
from ..ir import Block, BlockSize, Dim, HostScalar, HostTensor, Phase, Program, Range, Size, Value
from ..language.loops import TileLoop
from ..lower.fuse import fuse_accumulators
from ..settings import Settings
from . import branches, callees, failures, jagged, loops, shapes
from .between import BetweenLoops, Memory, check_order
from .dynamic import HostMode
from .fakes import fake_mode
from .hosted import hosted
from .names import HostNames
from .places import Places
from .settle import unify
from .symbols import KernelShapeEnv, expr_of, is_symbolic
from .values import Tile, TileTensor

_INSTEAD = {
    "and": "combine element by element with `&`, each side in parentheses: (a > 0) & (b > 0)",
    "or": "combine element by element with `|`, each side in parentheses: (a > 0) | (b > 0)",
    "not": "negate element by element with `~`",
    "chained comparison": "write both comparisons and join them with `&`: (a < b) & (b < c)",
}


class GridLoop(TileLoop):
    """Bounds of an `hl.grid` loop, or of a `range` over device bounds: scalar indices, with a step per dimension."""

    steps: list[Any]


_NO_COMPLEX = (
    "compute on real and imaginary parts: torch.view_as_real(x) on the host gives them as a last dimension of 2"
)
_SYMBOL = re.compile(r"\b(?:s|u|zf|zuf)\d+\b")  # how torch calls its symbols


def _name_of(found: Any, symbol: str) -> str:
    """What the user calls the thing that a symbol stands for."""
    if isinstance(found, BlockSize):
        return found.name
    if isinstance(found, int):
        return str(found)
    if isinstance(found, HostScalar):
        return found.source
    if isinstance(found, Range):
        return found.name if found.scalar else f"{found.name}.begin"
    if isinstance(found, Value):
        return found.hint or "(a device value)"
    return symbol


class Tracer:
    """One trace of one kernel, `defined` at a place. `in_device` says whether a tile loop is being traced."""

    def __init__(
        self, name: str, settings: Settings, defined: location.Location | None = None,
        tunables: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self.chosen, self.tunables = dict(tunables or {}), {}  # values of tunables, and their fragments
        self.name, self.settings, self.defined = name, settings, defined
        self.env = KernelShapeEnv()
        self.fake_mode = fake_mode(shape_env=self.env, allow_non_fake_inputs=True)
        self.blocks: list[BlockSize] = []
        self.symbols: dict[sympy.Symbol, Any] = {}
        self.actual: dict[sympy.Symbol, Any] = {}  # what host symbols are in this call
        self.whole: set[str] = set()  # sizes of dimensions that are taken in whole, as expressions of the host
        self.facts: list[str] = []  # what else calls are checked for, as expressions of the parameters
        self.phases: list[Phase] = []
        self.tensors: dict[int, HostTensor] = {}
        self.memory: dict[HostTensor, Memory] = {}
        self.devices: dict[torch.device, str] = {}  # of the tensors used on the device, with the name of one on each
        self.host_scalars: dict[sympy.Symbol, HostScalar] = {}
        self.replacements: dict[tuple[int, str], list[int | ir.Baked | None]] = {}
        self.real_tensors: dict[int, tuple[torch.Tensor, FakeTensor]] = {}
        self.borrowed: set[int] = set()  # memory that was there before the call
        self.derived: dict[int, tuple[torch.Tensor, Callable[[Callable[[Any], str]], str]]] = {}
        self.block: Block | None = None
        self.names: HostNames | None = None
        self.loads = self.stores = self.loops = 0
        self.random_uses = 0
        self.places = Places()
        self.inlined: list[Any] = []  # user functions that device code called
        self.jagged: dict[Range, TileTensor] = {}  # ranges over rows of different length, and those lengths
        self.stage = 0  # how many barriers came before
        self._modes = ExitStack()
        self._between: BetweenLoops | None = None  # from the first tile loop on
        self._host_statements: list[str] = []
        self._full_ranges: dict[Size, Range] = {}
        self.min_lanes: dict[int, int] = {}
        self.unpadded: set[int] = set()

    # --- values

    @property
    def in_device(self) -> bool:
        return self.block is not None

    def record(self, op: ir.Op) -> ir.Op:
        """Appends `op` to the current block, after checking that it may use its inputs here."""
        assert self.block is not None
        op.line = location.line_here()
        for value in op.inputs:
            if value.block is None or not value.block.encloses(self.block):
                raise exc.StaleValue(location=location.here())
        for value in op.results:
            value.block = self.block
        self.block.ops.append(op)
        return op

    def wrap(self, value: Value) -> TileTensor:
        result = TileTensor.wrap(value, self.env)
        result.home = self.block
        return result

    def emit(self, op: ir.Op, dims: Sequence[Dim], dtype: torch.dtype, hint: str = "") -> TileTensor:
        """Records `op` with one result of the given dims and dtype, and wraps it."""
        if dtype.is_complex:
            raise exc.DtypeMismatch(op=op.name, problem=f"{dtype} is complex", instead=_NO_COMPLEX)
        op.results = (Value(tuple(dims), dtype, hint),)
        self.record(op)
        return self.wrap(op.result)

    def value(self, tensor: Any) -> Value:
        """The value behind a device tensor."""
        if not isinstance(tensor, TileTensor):
            raise exc.InvalidArgument(
                what=self.describe(tensor), instead="give a device value, such as a tile of a tensor"
            )
        if tensor.poisoned:
            raise exc.MutatedAlias(location=location.here())
        return tensor.value  # type: ignore[no-any-return]

    def poison(self, tensor: Any) -> None:
        """After an in-place update under another name, `tensor` does not hold what eager would; its use is an error."""
        tensor.poisoned = True

    def scalar(self, number: Any, dtype: torch.dtype | None = None) -> TileTensor:
        """A 0-d value from a symbolic (or plain) number."""
        if isinstance(number, torch.Tensor):
            from .host_tensors import direct_usage

            raise direct_usage(self, number, "an operation on numbers")
        expr = expr_of(number)
        if dtype is None:
            dtype = torch.float32 if isinstance(number, (float, torch.SymFloat)) else torch.int64
            if isinstance(number, (bool, torch.SymBool)):
                dtype = torch.bool
            elif dtype is torch.int64 and isinstance(expr, sympy.Expr) and not self.may_be_long(expr):
                dtype = torch.int32  # offsets and sizes of tiles
        return self.emit(ir.Scalar(expr=hosted(self, expr)), (), dtype)

    def may_be_long(self, expr: sympy.Expr) -> bool:
        """Whether an integer may need 64 bits: it is made of the caller's numbers, or of 64-bit ones of the device."""
        return not expr.free_symbols.isdisjoint(self.host_scalars) or ir.is_wide(expr, self.symbols)

    def number(self, number: Any, double: bool) -> TileTensor:
        """A 0-d value from a symbolic number, which keeps the 64 bits of a float where `double`."""
        if not double or not isinstance(number, torch.SymFloat):
            return self.scalar(number)
        result = self.scalar(number, torch.float64)
        for symbol in self.block.ops[-1].expr.free_symbols & self.host_scalars.keys():  # type: ignore[union-attr]
            self.host_scalars[symbol].is_wide = True
        return result

    def symbol_of(self, tensor: TileTensor) -> torch.SymInt:
        """A 0-d integer value as an integer that size expressions may use."""
        value = self.value(tensor)
        if value.dims or value.dtype.is_floating_point or value.dtype is torch.bool:
            raise exc.InvalidArgument(
                what=f"a value of shape {self.show(value.shape)} and dtype {value.dtype}",
                instead="use a 0-d integer value, such as one loaded with hl.grid indices", location=location.here(),
            )  # fmt: skip
        for symbol, found in self.symbols.items():
            if found is value:
                return self.env.sym(symbol)  # type: ignore[return-value]
        symbol = self.env.device_symbol()
        self.symbols[symbol] = value
        return self.env.sym(symbol)  # type: ignore[return-value]

    def size_of(self, number: Any) -> Size:
        """A bound or size given as an int, a symbolic int, a tile (its block size) or a 0-d device value."""
        if isinstance(number, Tile):
            return number.range.width
        if isinstance(number, TileTensor):
            number = self.symbol_of(number)
        if isinstance(number, float) and number.is_integer():
            number = int(number)
        if isinstance(number, torch.SymInt) or (isinstance(number, int) and not isinstance(number, bool)):
            return expr_of(number)
        host = isinstance(number, torch.Tensor)
        instead = (
            "give one of its sizes, such as x.size(0)" if host else "give an int, a size or a scalar on the device"
        )
        raise exc.InvalidArgument(what=f"{self.describe(number)} as a size or bound", instead=instead)

    def full_range(self, size: Size) -> Range:
        """The range of a dimension that is taken in full; dims of equal size share it."""
        found = self._full_ranges.get(size)
        if isinstance(size, sympy.Expr):
            self.whole.update(self.host_scalars[s].source for s in size.free_symbols if s in self.env.size_symbols)
        if found is None and isinstance(size, sympy.Expr):
            # sizes that agree in this call belong together: the row of a matrix and the weights along it
            alike = (r for r in self._full_ranges.values() if self.agree(r.end, size) and self.env.same(r.end, size))
            found = next(alike, None)
        if found is None:
            name = re.sub(r"\W+", "_", self._spelled(size)).strip("_")
            found = Range(name=f"dim_{name}", begin=0, end=size, width=size, base=0, full=True)
            self._full_ranges[size] = found
        return found

    def _spelled(self, size: Size) -> str:
        """`size` in words of the code: `x_size_1`."""
        names = {str(symbol): scalar.name for symbol, scalar in self.host_scalars.items()}
        return self.named(_SYMBOL.sub(lambda match: names.get(match[0], match[0]), str(size)))

    def agree(self, a: Size, b: Size) -> bool:
        """Whether two sizes of the host are equal in this call."""
        symbols = {s for e in (a, b) if isinstance(e, sympy.Expr) for s in e.free_symbols}
        if not symbols <= self.actual.keys():
            return False
        hints = {s: self.env.hint_of(s) for s in symbols}
        return sympy.sympify(a).xreplace(hints) == sympy.sympify(b).xreplace(hints)

    def in_this_call(self, size: Size) -> Any:
        """A size of the host as the number that it is in this call, where it is one."""
        known = sympy.sympify(sympy.sympify(size).xreplace(self.actual))
        return int(known) if known.is_Integer else size

    def fixed(self, size: Size) -> Size:
        """`size`; one of the host as the number that it is in this call, which then holds for all calls alike."""
        if isinstance(size, int) or not self.env.size_symbols or not size.free_symbols <= self.actual.keys():
            return size
        return int(self.env.sym(size))

    def dim(self, size: Size) -> Dim:
        """A dimension of `size` lanes with no tile behind it: padded and masked unless it is a block size."""
        if shapes.is_one(size) or self.env.is_device(size):
            return Dim(size)
        return Dim(size, frozenset({self.full_range(size)}))

    def need_lanes(self, size: Size, lanes: int) -> None:
        """Makes a dimension at least `lanes` wide on the device: a block size by its minimum, others by padding."""
        if isinstance(size, int):
            if size < lanes:
                self.min_lanes[size] = max(lanes, self.min_lanes.get(size, 0))
            return
        block = self.symbols.get(size) if isinstance(size, sympy.Symbol) else None
        if isinstance(block, BlockSize):
            block.minimum = max(block.minimum, lanes)

    def show_size(self, size: Size) -> str:
        return self.named(str(size)) if isinstance(size, sympy.Expr) else str(size)

    def show(self, sizes: Sequence[Size]) -> str:
        return shapes.show(sizes, self.show_size)

    def named(self, text: str) -> str:
        """`text` with the user's names in place of the symbols that tracing uses for sizes and offsets."""
        known: dict[str, Any] = {str(symbol): found for symbol, found in self.symbols.items()}
        known |= {str(symbol): self.actual[symbol] for symbol in self.env.size_symbols}
        return _SYMBOL.sub(lambda match: _name_of(known.get(match[0]), match[0]), text)

    def describe(self, value: Any) -> str:
        """A value's type for messages: dtype and shape."""
        if isinstance(value, Tile):
            return f"the tile `{value.range.name}`"
        if isinstance(value, TileTensor):
            return f"{str(value.value.dtype).removeprefix('torch.')}{self.show(value.value.shape)}"
        if isinstance(value, torch.Tensor):
            return "a host tensor"
        if value is None or isinstance(value, (int, float, complex, str)):
            return f"the Python {type(value).__name__} {value!r}" if value is not None else "None"
        return f"a {type(value).__name__}"

    # --- engine: conditions and names

    def is_device_value(self, value: Any) -> bool:
        if isinstance(value, (TileTensor, Tile)):
            return True
        return is_symbolic(value) and self.env.is_device(value.node.expr)

    def name_value(self, name: str, value: Any) -> None:
        if isinstance(value, TileTensor) and not value.value.hint and value.home is self.block:
            value.value.hint = name

    def as_condition(self, value: Any, statement: str) -> Any:
        """`value` as a device condition: a 0-d bool value."""
        what = ("an operand of" if statement in _INSTEAD else "the condition of") + f" `{statement}`"
        if isinstance(value, Tile):
            raise exc.InvalidArgument(what=f"a tile as {what}", instead="compare tile.begin, tile.end or tile.index")
        if not isinstance(value, TileTensor):
            return self.scalar(value, torch.bool)
        if value.value.dims:
            instead = _INSTEAD.get(statement, "use torch.where(condition, a, b) for element-wise choice")
            raise exc.VectorCondition(what=what, shape=self.show(value.value.shape), instead=instead)
        return value if value.value.dtype is torch.bool else value != 0

    def negate(self, condition: Any) -> Any:
        return torch.logical_not(condition)

    def as_operand(self, value: Any, word: str) -> Any:
        """`value`, a device scalar, as an operand of `and` or `or`. Raises as `as_condition` does."""
        condition = self.as_condition(value, word)
        return value if isinstance(value, TileTensor) else self.scalar(value) if is_symbolic(value) else condition

    def either(self, first: Any, second: Any, word: str) -> Any:
        """`first and second`, or `or`, of device scalars and numbers: the one of them that Python would hand back."""
        test = self.as_condition(first, word)
        if isinstance(second, TileTensor) and first.dtype is second.dtype is torch.bool:
            return test & second if word != "or" else test | second
        return torch.where(test, first, second) if word == "or" else torch.where(test, second, first)

    @contextmanager
    def host_statement(self, statement: str) -> Iterator[None]:
        if self.in_device:
            yield
            return
        self._host_statements.append(statement)
        try:
            yield
        finally:
            self._host_statements.pop()

    def device_assert(self, condition: Any, message: str) -> None:
        from .operators.escape import device_assert

        device_assert(self, condition, message)

    def callee(self, function: Any) -> Any:
        return callees.callee(self, function)

    # --- loops

    def register_block_size(self, minimum: int, maximum: int) -> torch.SymInt:
        if self.in_device:
            raise exc.UnsupportedOperation(
                op="hl.register_block_size()", reason=" inside a tile loop", instead="register it before the tile loop"
            )
        block = self.new_block(None, minimum=max(1, minimum), maximum=maximum)
        self._replace_call("register_block_size", block.id)
        return self.env.sym(block.symbol)  # type: ignore[return-value]

    def _replace_call(self, name: str, block: int | ir.Baked | None) -> None:
        """Notes a call that matters only in tracing: the wrapper writes a block size (or the argument) in its place."""
        if not self.in_device:
            self.replacements.setdefault((location.line_here()[1], name), []).append(block)

    def register_tunable(self, name: str, fragment: Any) -> Any:
        from .tunables import register

        value = register(self, name, fragment)
        self._replace_call("register_tunable", ir.Baked(value))
        return value

    def specialize(self, value: Any) -> Any:
        self._replace_call("specialize", None)
        return self._specialized(value)

    def _specialized(self, value: Any) -> Any:
        if isinstance(value, (list, tuple, torch.Size)):
            return tuple(map(self._specialized, value))
        if is_symbolic(value) or self.is_device_value(value):
            return self.constant(value, "hl.specialize")
        return value

    def constant(self, value: Any, name: str) -> int:
        """`value` as a Python int; a host size gets a guard. Raises `DeviceValueAsPython` for a value of the device."""
        if self.is_device_value(value):
            raise exc.DeviceValueAsPython(
                wanted="int", how=f"by {name}", location=location.here(),
                instead="use range(...) or hl.tile(...), which loop on the device",
            )  # fmt: skip
        return int(value)

    def barrier(self) -> None:
        if self.in_device:
            raise exc.UnsupportedOperation(
                op="hl.barrier()", reason=" inside a tile loop", location=location.here(),
                instead="write it at the top level of the kernel, between two tile loops",
            )  # fmt: skip
        self._replace_call("barrier", None)
        self.stage += 1

    def new_block(self, extent: Size | None, minimum: int = 1, maximum: int | None = None) -> BlockSize:
        index = len(self.blocks)
        block = BlockSize(index, f"BLOCK_{index}", self.env.block_symbol(index), minimum, maximum, extent)
        self.blocks.append(block)
        self.symbols[block.symbol] = block
        self.places.blocks.setdefault(location.site(), []).append(index)
        return block

    def tile_loop(self, loop: TileLoop) -> TileLoop:
        """Checks and completes what `hl.tile` was given; block sizes are numbered here, in program order."""
        begins = [self.size_of(b) for b in loop.begins]
        ends = [self.size_of(e) for e in loop.ends]
        blocks: list[Any] = []
        for begin, end, given in zip(begins, ends, loop.blocks, strict=True):
            extent = end - begin if not (self.env.is_device(begin) or self.env.is_device(end)) else None
            blocks.append(self._block_for(given, extent))
        result = type(loop)(loop.function, begins, ends, blocks, loop.single)
        return result

    def _block_for(self, given: Any, extent: Size | None) -> BlockSize | int:
        if given is None:
            return self.new_block(extent)
        size = self.fixed(self.size_of(given))
        if isinstance(size, int):
            if size < 1:
                raise exc.InvalidArgument(what=f"block size {size}", instead="give a positive int")
            return size
        found = self.symbols.get(size) if isinstance(size, sympy.Symbol) else None
        if not isinstance(found, BlockSize):
            raise exc.InvalidArgument(
                what=f"block size {self.show_size(size)}", location=location.here(),
                instead="give None, an int, or what hl.register_block_size returned",
            )  # fmt: skip
        if extent is not None and isinstance(extent, int) and isinstance(found.extent, (int, type(None))):
            found.extent = max(found.extent or 0, extent)
        return found

    def jagged_loop(self, lengths: Any) -> TileLoop:
        return jagged.jagged_loop(self, lengths)

    def jagged_rows(self) -> frozenset[int]:
        """The block sizes of tiles along which lengths of jagged loops run."""
        widths = {r.width for lengths in self.jagged.values() for r in lengths.value.dims[0].ranges}
        return frozenset(block.id for block in self.blocks if block.symbol in widths)

    def grid_loop(self, loop: TileLoop, steps: list[Any]) -> GridLoop:
        begins, ends = [self.size_of(b) for b in loop.begins], [self.size_of(e) for e in loop.ends]
        result = GridLoop(loop.function, begins, ends, [1] * len(ends), loop.single)
        result.steps = [self.size_of(s) for s in steps]
        if any(isinstance(s, int) and s < 1 for s in result.steps):
            raise exc.InvalidArgument(what=f"a step of {min(result.steps)}", instead="give a positive step")
        return result

    def loop(
        self, loop: DeviceLoop, body: Body, names: Sequence[str], values: Sequence[Any], number: int,
        targets: Sequence[str],
    ) -> Sequence[Any]:  # fmt: skip
        assert isinstance(loop, TileLoop)
        if self.in_device:
            ranges = [self._make_range(loop, k, n) for k, n in enumerate(self._range_names(loop, targets))]
            return loops.device_loop(self, loop, ranges, body, names, values)
        return self._top_level_loop(loop, body, names, values, number, targets)

    def _make_range(self, loop: TileLoop, k: int, name: str) -> Range:
        begin, end, given = loop.begins[k], loop.ends[k], loop.blocks[k]
        base = self.env.device_symbol()
        width = given.symbol if isinstance(given, BlockSize) else given
        scalar = isinstance(loop, GridLoop)
        step: Size = loop.steps[k] if isinstance(loop, GridLoop) else width
        result = Range(name=name, begin=begin, end=end, width=step if scalar else width, base=base, scalar=scalar)
        self.symbols[base] = result
        if isinstance(loop, jagged.JaggedLoop):
            self.jagged[result] = loop.lengths
        return result

    def item(self, loop: TileLoop, ranges: Sequence[Range]) -> Any:
        """What the `for` target receives: tiles, or scalar indices."""
        items: list[Any] = []
        for k, range_ in enumerate(ranges):
            block = loop.blocks[k]
            if isinstance(loop, GridLoop):
                items.append(self.env.sym(range_.base))
            else:
                items.append(Tile.make(range_, block if isinstance(block, BlockSize) else None, self.env))
        return items[0] if len(items) == 1 else tuple(items)

    def _range_names(self, loop: TileLoop, targets: Sequence[str]) -> list[str]:
        if len(targets) != len(loop.ends):
            if len(targets) > 1:
                count = len(loop.ends)
                raise exc.InvalidArgument(
                    what=f"unpacking {count} {'tile' if count == 1 else 'tiles'} into {len(targets)} names",
                    instead=f"{loop.function}([a, b, ...]) gives one tile per bound: "
                    f"give {len(targets)} bounds, or name {count}",
                )
            targets = [f"{targets[0] if targets else 'tile'}_{k}" for k in range(len(loop.ends))]
        for block, name in zip(loop.blocks, targets, strict=True):
            if isinstance(block, BlockSize) and block.name == f"BLOCK_{block.id}":
                block.name = "BLOCK_" + (name.removeprefix("tile_") or name).upper()
                if sum(b.name == block.name for b in self.blocks) > 1:
                    block.name += f"_{block.id}"
        return list(targets)

    def _top_level_loop(
        self, loop: TileLoop, body: Body, names: Sequence[str], values: Sequence[Any], number: int,
        targets: Sequence[str],
    ) -> Sequence[Any]:  # fmt: skip
        if self._host_statements:
            raise exc.DeviceLoopInHostControlFlow(statement=self._host_statements[-1], location=location.here())
        where = location.here()
        if self._between is not None:
            self._between.check()
        for bound in [*loop.begins, *loop.ends]:
            if self.env.is_device(bound):
                raise exc.InvalidArgument(
                    what="a device value as a bound of the outermost loop", location=where,
                    instead="compute the bound on the host, or loop over it inside",
                )  # fmt: skip
        ranges = tuple(self._make_range(loop, k, n) for k, n in enumerate(self._range_names(loop, targets)))
        self.names = HostNames(body, dict(zip(names, values, strict=True)))  # type: ignore[arg-type]
        self.block = block = Block()
        from .modes import device_modes

        try:
            with failures.device_code(self), device_modes(self):
                finals = body(self.item(loop, ranges), *values)
        finally:
            self.block = None
        if not block.has_effect():
            raise exc.DeviceLoopWithoutEffect(location=where)
        self.phases.append(Phase(ranges, block, number, where, self.stage))
        check_order(self, where)
        if self._between is None:
            self._between = self._modes.enter_context(BetweenLoops(self))
        return [self._host_after(n, v, f) for n, v, f in zip(names, values, finals, strict=True)]

    def _host_after(self, name: str, before: Any, after: Any) -> Any:
        """What a name assigned in a top-level loop holds behind it: nothing that the host may read."""
        from ..frontend.control import Undefined

        return before if after is before else Undefined(name)

    def mark(self) -> tuple[int, ...]:
        """How far the trace has come, for `rewind`."""
        return len(self.blocks), self.loads, self.stores, self.loops

    def rewind(self, mark: tuple[int, ...]) -> None:
        """Forgets block sizes and numbers handed out since `mark`, because that part is traced again."""
        count, self.loads, self.stores, self.loops = mark
        del self.blocks[count:]
        for numbers in self.places.blocks.values():
            numbers[:] = [n for n in numbers if n < count]

    def while_loop(
        self, test: Callable[..., Any], body: Body, names: Sequence[str], values: Sequence[Any]
    ) -> Sequence[Any]:
        return loops.while_loop(self, test, body, names, values)

    def branch(
        self, test: Any, then: Body, other: Body, names: Sequence[str], values: Sequence[Any], statement: str
    ) -> Sequence[Any]:
        return branches.branch(self, test, then, other, names, values, statement)

    # --- tiles

    def tile_begin(self, tile: Tile) -> Any:
        return self.env.sym(tile.range.base + tile.offset)

    def tile_end(self, tile: Tile) -> Any:
        return self.env.sym(Min(tile.range.base + tile.range.width, tile.range.end) + tile.offset)

    def tile_id(self, tile: Tile) -> Any:
        return self.env.sym(FloorDiv(tile.range.base - tile.range.begin, tile.range.width))

    def tile_count(self, tile: Tile) -> Any:
        return self.env.sym(CeilDiv(Max(tile.range.end - tile.range.begin, 0), tile.range.width))

    def tile_index(self, tile: Tile) -> TileTensor:
        dims = (Dim(tile.range.width, frozenset({tile.range})),)
        op = ir.Indices(range=tile.range, offset=tile.offset)
        return self.emit(op, dims, torch.int32, f"index_{tile.range.name.removeprefix('tile_')}")

    # --- creation, called by hl functions

    def dims_of(self, shape: Sequence[Any]) -> tuple[Dim, ...]:
        """Dims of a new value: tiles bring their range along."""
        if not isinstance(shape, (list, tuple, torch.Size)):
            shape = [shape]
        dims = []
        for size in shape:
            if isinstance(size, Tile):
                dims.append(Dim(size.range.width, frozenset({size.range})))
            else:
                dims.append(self.dim(self.size_of(size)))
        return tuple(dims)

    def full(self, shape: Sequence[Any], fill: Any, dtype: torch.dtype | None) -> TileTensor:
        dims = self.dims_of(shape)
        self._check_fill(fill, dtype)
        if isinstance(fill, TileTensor) or is_symbolic(fill):
            scalar = fill if isinstance(fill, TileTensor) else self.number(fill, dtype is torch.float64)
            dtype = dtype or scalar.dtype
            source = self.value(scalar.to(dtype))
            return self.emit(ir.Full(fill=None, inputs=(source,)), dims, dtype)
        return self.emit(ir.Full(fill=fill), dims, dtype or torch.float32)

    def _check_fill(self, fill: Any, dtype: Any) -> None:
        if dtype is not None and not isinstance(dtype, torch.dtype):
            raise exc.DtypeMismatch(
                op="dtype", problem=f"{dtype!r} is not a dtype", instead="give one, such as torch.float32"
            )
        if isinstance(fill, complex):
            raise exc.DtypeMismatch(op="fill", problem=f"{fill} is complex", instead=_NO_COMPLEX)
        if not isinstance(fill, (int, float, TileTensor)) and not is_symbolic(fill):
            raise exc.InvalidArgument(
                what=f"{self.describe(fill)} as a value to fill with", instead="give a number or a scalar on the device"
            )

    def dot(self, a: Any, b: Any, acc: Any, out_dtype: torch.dtype | None) -> TileTensor:
        from .operators.products import dot

        return dot(self, a, b, acc, out_dtype)

    def library(self, name: str, *args: Any) -> Any:
        """Records what `hl.<name>(*args)` does."""
        from .library import FUNCTIONS

        return FUNCTIONS[name](self, *args)

    # --- the result

    def _used_tensors(self) -> list[HostTensor]:
        used = {op.tensor for phase in self.phases for op in phase.body.walk() if isinstance(op, ir.Access)}
        found = [tensor for tensor in self.tensors.values() if tensor in used]
        barriers = max((phase.stage for phase in self.phases), default=0)
        if barriers:
            source = f"_torch.zeros({barriers}, dtype=_torch.int32, device={found[0].source}.device)"
            found.append(HostTensor(ir.ARRIVALS, source, torch.int32, (barriers,), (1,), 0))
        return found

    def _used_scalars(self) -> list[HostScalar]:
        used: set[sympy.Symbol] = set()
        for phase in self.phases:
            sizes: list[Any] = [size for r in phase.ranges for size in (r.begin, r.end, r.width)]
            for op in phase.body.walk():
                sizes.extend(ir.sizes_of(op))
            for size in sizes:
                if isinstance(size, sympy.Basic):
                    used |= size.free_symbols
        return [scalar for symbol, scalar in self.host_scalars.items() if symbol in used]

    def program(self) -> Program:
        if not self.phases:
            raise exc.NoDeviceLoop(name=self.name, location=self.defined)
        unify(self)
        result = Program(
            self.name,
            self.phases,
            self._used_tensors(),
            self._used_scalars(),
            self.blocks,
            dict(self.symbols),
            self.min_lanes,
        )
        fuse_accumulators(result)
        result.tunables.update(self.tunables)
        ir.remove_dead(result)
        ir.verify(result)
        return result

    @contextmanager
    def running(self) -> Iterator[None]:
        """The modes under which host code of the kernel runs."""
        with self._modes:
            self._modes.enter_context(self.fake_mode)
            if not self.settings.static_shapes:
                self._modes.enter_context(HostMode(self))
            yield
