"""The intermediate representation: what a kernel computes, before any configuration is chosen.

A `Program` holds host tensors and scalars that the device reads, block sizes, and phases (top-level tile loops). A
phase is a `Block` of `Op`s over `Value`s; loops and branches hold blocks of their own, and outer values are visible in
inner blocks. Sizes are Python ints or sympy expressions over block sizes, host sizes and device scalars. Everything is
immutable once traced: what a config may change is decided later.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import sympy
import torch

from .location import Location

Size = int | sympy.Expr
ARRIVALS = "arrivals"  # the host tensor in which programs count themselves at grid-wide barriers
_range_ids = itertools.count()


# --- dimensions -------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class BlockSize:
    """One tunable block size: `symbol` stands for it in sizes; `extent` is the longest run it tiles, where known."""

    id: int
    name: str
    symbol: sympy.Symbol
    minimum: int = 1
    maximum: int | None = None
    extent: Size | None = None


@dataclass(eq=False)
class Range:
    """A run of indices `begin <= i < end` that a dimension of a value goes over, `width` lanes at a time.

    `width` is a block size symbol or a fixed int for tiles, and the whole size for a dimension taken in full.
    `base` is the first index of the current tile: a symbol for tiles, `begin` for a full dimension.
    A range derived from another by a reshape (its indices times or divided by a constant) has that one as `parent`.
    A range whose tiles are parts of the tiles of another is `part_of` that one, and as masked as it is.
    """

    name: str
    begin: Size
    end: Size
    width: Size
    base: Size
    full: bool = False
    scalar: bool = False
    extra_ends: tuple[Size, ...] = ()
    parent: Range | None = None
    part_of: Range | None = None
    id: int = field(default_factory=lambda: next(_range_ids))

    def __repr__(self) -> str:
        return f"{self.name}[{self.begin}:{self.end}]"


class Dim(NamedTuple):
    """One dimension of a value: how many lanes, and which ranges they run over (their masks apply)."""

    size: Size
    ranges: frozenset[Range] = frozenset()


# --- values and operations --------------------------------------------------------------------------------------------


@dataclass(eq=False)
class Value:
    """A tile (or scalar, with no dims) computed on the device. `hint` is the user's variable name, where known."""

    dims: tuple[Dim, ...]
    dtype: torch.dtype
    hint: str = ""
    block: Block | None = None

    @property
    def shape(self) -> tuple[Size, ...]:
        return tuple(dim.size for dim in self.dims)


@dataclass(eq=False, kw_only=True)
class Op:
    """One operation. Subclasses add attributes; `inputs` are values, `results` what it defines."""

    inputs: tuple[Value, ...] = ()
    results: tuple[Value, ...] = ()
    line: tuple[str, int] = ("", 0)
    effect: ClassVar[bool] = False

    @property
    def result(self) -> Value:
        return self.results[0]

    @property
    def blocks(self) -> tuple[Block, ...]:
        return ()

    @property
    def name(self) -> str:
        return type(self).__name__.lower()

    def attributes(self) -> dict[str, Any]:
        """What the printer shows besides inputs and results."""
        hidden = {"inputs", "results", "line", "body", "then", "orelse", "condition"}
        return {k: v for k, v in vars(self).items() if k not in hidden and v is not None}


@dataclass(eq=False, kw_only=True)
class Scalar(Op):
    """A 0-d value from a size expression."""

    expr: Size


@dataclass(eq=False, kw_only=True)
class Full(Op):
    """Every lane holds `fill`, a Python number, or the scalar input where there is one."""

    fill: complex | None


@dataclass(eq=False, kw_only=True)
class Indices(Op):
    """The indices of `range` that the current tile covers, shifted by `offset`."""

    range: Range
    offset: Size = 0


@dataclass(eq=False, kw_only=True)
class Iota(Op):
    """start, start + step, ... along the only dimension."""

    start: Size
    step: Size


@dataclass(eq=False, kw_only=True)
class Pointwise(Op):
    """An elementwise torch operator. `args` and `kwargs` are those of the operator with `Slot(k)` for input k."""

    target: Any
    args: tuple[Any, ...]
    kwargs: tuple[tuple[str, Any], ...]
    template: Any

    @property
    def name(self) -> str:
        return str(self.target)

    def attributes(self) -> dict[str, Any]:
        constants = [a for a in self.args if not isinstance(a, Slot)]
        found: dict[str, Any] = {"args": constants} if constants else {}
        return found | dict(self.kwargs)


class Slot(NamedTuple):
    """Stands for input number `index` of an operation."""

    index: int


@dataclass(eq=False, kw_only=True)
class Cast(Op):
    """The input converted to the result's dtype, as `Tensor.to(dtype)` does."""


@dataclass(eq=False, kw_only=True)
class Permute(Op):
    order: tuple[int, ...]


@dataclass(eq=False, kw_only=True)
class Reshape(Op):
    """The input in another shape; at most the leading dim of a merged or split group is padded (tracing checks it)."""


@dataclass(eq=False, kw_only=True)
class Expand(Op):
    """The input with size-1 dims broadcast to the result's shape (same number of dims)."""


@dataclass(eq=False, kw_only=True)
class Reduce(Op):
    """`kind` over dimension `dim`, which disappears. Kinds: sum, prod, max, min, argmax, argmin, any, all, xor_sum."""

    kind: str
    dim: int


@dataclass(eq=False, kw_only=True)
class Dot(Op):
    """a @ b (+ acc, the third input) over the last two dims, the others batched; accumulated in the result's dtype."""

    precision: str | None


@dataclass(eq=False, kw_only=True)
class Bitcast(Op):
    """The bits of the input taken as the result's dtype, which has the same width."""


@dataclass(eq=False, kw_only=True)
class Gather(Op):
    """result[.., i, ..] = source[.., index[.., i, ..], ..] along `dim`.

    Inputs are source and index, whose other dims agree.
    """

    dim: int


@dataclass(eq=False, kw_only=True)
class Join(Op):
    """Two inputs of one shape side by side in a new last dimension of size 2."""


@dataclass(eq=False, kw_only=True)
class Split(Op):
    """The two halves of an input whose last dimension has size 2."""


@dataclass(eq=False, kw_only=True)
class Sort(Op):
    """The input sorted ascending along its last dimension; padding comes last."""


@dataclass(eq=False, kw_only=True)
class Scan(Op):
    """Running results along `dim`, which stays.

    `kind`: sum or prod of one input; None combines by `body`, whose params are the left values, then the right ones.
    """

    dim: int
    reverse: bool
    kind: str | None
    body: Block

    @property
    def blocks(self) -> tuple[Block, ...]:
        return (self.body,)


@dataclass(eq=False, kw_only=True)
class Combine(Op):
    """A reduction of all inputs at once over `dim` by `body`.

    Params of the body: left values, then right ones; `fills` are identities.
    """

    dim: int
    fills: tuple[Any, ...]
    body: Block

    @property
    def blocks(self) -> tuple[Block, ...]:
        return (self.body,)


@dataclass(eq=False, kw_only=True)
class Random(Op):
    """`count` blocks of Philox output; inputs are a 0-d int64 seed and positions.

    Kinds: rand, randn, randint (32 random bits).
    """

    kind: str


@dataclass(eq=False, kw_only=True)
class DotScaled(Op):
    """Block-scaled a @ b: inputs a, its scales, b, its scales (where `scaled` says so), perhaps an f32 accumulator."""

    formats: tuple[str, str]
    scaled: tuple[bool, bool]


# --- memory -----------------------------------------------------------------------------------------------------------


class TileIndex(NamedTuple):
    """Indices of a tile, shifted by `offset`, along dim `dim` of the access."""

    range: Range
    offset: Size
    dim: int


class SliceIndex(NamedTuple):
    """start, start + step, ...: as many as `range` (a full range) is long, along dim `dim` of the access."""

    range: Range
    start: Size
    step: int
    dim: int


class PointIndex(NamedTuple):
    """One index given by an expression; the dimension is dropped."""

    at: Size


class ValueIndex(NamedTuple):
    """Indices held by input `slot`; its dims start at dim `dim` of the access (a 0-d value drops the dimension)."""

    slot: int
    dim: int


class NewAxis(NamedTuple):
    """A new dimension of size 1."""


Index = TileIndex | SliceIndex | PointIndex | ValueIndex | NewAxis


@dataclass(eq=False, kw_only=True)
class Access(Op):
    """A read or write of `tensor` at `index`; `mask` is the input slot of an extra mask; `dims` those of the access.

    Where `base` is given, that input holds device addresses (its dims lead) of tensors laid out like `tensor`.
    """

    tensor: HostTensor
    index: tuple[Index, ...]
    dims: tuple[Dim, ...]
    mask: int | None = None
    base: int | None = None


@dataclass(eq=False, kw_only=True)
class Load(Access):
    number: int = 0
    eviction: str | None = None


@dataclass(eq=False, kw_only=True)
class Store(Access):
    """Writes input 0, broadcast to `dims` and cast to the tensor's dtype."""

    effect: ClassVar[bool] = True
    number: int = 0


@dataclass(eq=False, kw_only=True)
class Atomic(Access):
    """Combines input 0 (for `cas`, input 1 where input 0 is found) into memory; the result is what was there before.

    Kinds: add, and, or, xor, max, min, xchg, cas. `sem`: relaxed, acquire, release or acq_rel.
    """

    effect: ClassVar[bool] = True
    kind: str
    sem: str


# --- debugging and text of the user's own -----------------------------------------------------------------------------


@dataclass(eq=False, kw_only=True)
class Print(Op):
    """Prints `prefix` and the inputs, once per lane."""

    effect: ClassVar[bool] = True
    prefix: str


@dataclass(eq=False, kw_only=True)
class Assert(Op):
    """Stops the kernel with `message` where a lane of the input is false (only when Triton's debugging is on)."""

    effect: ClassVar[bool] = True
    message: str


@dataclass(eq=False, kw_only=True)
class InlineAsm(Op):
    """Assembly applied to each element of the inputs, which have one shape; see `tl.inline_asm_elementwise`."""

    asm: str
    constraints: str
    is_pure: bool
    pack: int

    @property
    def effect(self) -> bool:  # type: ignore[override]
        return not self.is_pure


@dataclass(eq=False, kw_only=True)
class InlineTriton(Op):
    """Triton text with `{k}` or `{name}` for the operands; its last line is the result. `names` maps them to inputs."""

    effect: ClassVar[bool] = True
    source: str
    names: tuple[tuple[str, Any], ...]


@dataclass(eq=False, kw_only=True)
class CallTriton(Op):
    """A call of a Triton function.

    `args` are its arguments with `Slot(k)` for input k, `helpers` its source and what it needs.
    """

    effect: ClassVar[bool] = True
    function: str
    args: tuple[Any, ...]
    helpers: tuple[tuple[str, str], ...]


# --- control flow -----------------------------------------------------------------------------------------------------


@dataclass(eq=False, kw_only=True)
class For(Op):
    """A loop over the tiles of `range`; inputs are the initial values of the carried ones, results the final ones.

    `nest`: how many loops, this one first, are the dimensions of one tile loop.
    """

    range: Range
    body: Block
    number: int
    nest: int = 1

    @property
    def blocks(self) -> tuple[Block, ...]:
        return (self.body,)

    @property
    def effect(self) -> bool:  # type: ignore[override]
        return self.body.has_effect()


@dataclass(eq=False, kw_only=True)
class While(Op):
    """A loop while `condition` (its own block over the carried values) yields true; inputs and results as for `For`."""

    condition: Block
    body: Block

    @property
    def blocks(self) -> tuple[Block, ...]:
        return (self.condition, self.body)

    @property
    def effect(self) -> bool:  # type: ignore[override]
        return self.body.has_effect() or self.condition.has_effect()


@dataclass(eq=False, kw_only=True)
class If(Op):
    """One of two blocks, by the scalar bool input; results are what the chosen block yields."""

    then: Block
    orelse: Block

    @property
    def blocks(self) -> tuple[Block, ...]:
        return (self.then, self.orelse)

    @property
    def effect(self) -> bool:  # type: ignore[override]
        return self.then.has_effect() or self.orelse.has_effect()


@dataclass(eq=False)
class Block:
    """A straight run of operations; `params` are the carried values of a loop, `yields` what it hands back."""

    parent: Block | None = None
    params: list[Value] = field(default_factory=list)
    ops: list[Op] = field(default_factory=list)
    yields: list[Value] = field(default_factory=list)

    def encloses(self, other: Block | None) -> bool:
        """Whether `other` is this block or lies inside it."""
        while other is not None:
            if other is self:
                return True
            other = other.parent
        return False

    def walk(self) -> Iterator[Op]:
        """Every operation in program order, inner blocks included."""
        for op in self.ops:
            yield op
            for block in op.blocks:
                yield from block.walk()

    def has_effect(self) -> bool:
        return any(op.effect for op in self.ops)


# --- the program ------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class HostTensor:
    """A tensor of the host that the device reads or writes. `source` is the Python expression the wrapper passes."""

    name: str
    source: str
    dtype: torch.dtype
    sizes: tuple[Size, ...]
    strides: tuple[Size, ...]
    phase: int

    def __repr__(self) -> str:
        return self.name


@dataclass(eq=False)
class HostScalar:
    """A number of the host that the device reads; `is_wide` integers take 64 bits."""

    name: str
    source: str
    symbol: sympy.Symbol
    is_float: bool
    is_wide: bool = False


class Baked(NamedTuple):
    """Stands for a host call that a config decides: the constant to write in its place."""

    value: Any


@dataclass(eq=False)
class Phase:
    """One top-level tile loop: the ranges of its grid and the body that one program runs."""

    ranges: tuple[Range, ...]
    body: Block
    loop: int
    location: Location | None
    stage: int = 0  # phases of one stage run side by side; a grid-wide barrier stands between stages


@dataclass(eq=False)
class Program:
    """Everything known about a kernel after tracing."""

    name: str
    phases: list[Phase]
    tensors: list[HostTensor]
    scalars: list[HostScalar]
    blocks: list[BlockSize]
    symbols: dict[sympy.Symbol, Value | Range | BlockSize | HostScalar]
    min_lanes: dict[int, int] = field(default_factory=dict)
    tunables: dict[str, Any] = field(default_factory=dict)

    @property
    def stages(self) -> int:
        """How many groups of phases run one after the other, with a grid-wide barrier between them."""
        return 1 + max((phase.stage for phase in self.phases), default=0)

    def ops(self) -> Iterator[Op]:
        for phase in self.phases:
            yield from phase.body.walk()

    def __str__(self) -> str:
        return "\n".join(_print_program(self))


# --- printer ----------------------------------------------------------------------------------------------------------

_SHORT = {
    torch.float32: "f32", torch.float64: "f64", torch.float16: "f16", torch.bfloat16: "bf16", torch.bool: "bool",
    torch.int8: "i8", torch.int16: "i16", torch.int32: "i32", torch.int64: "i64", torch.uint8: "u8",
    torch.float8_e4m3fn: "f8e4m3", torch.float8_e5m2: "f8e5m2",
}  # fmt: skip


def short_dtype(dtype: torch.dtype) -> str:
    """`f32` for torch.float32 and so on."""
    return _SHORT.get(dtype) or str(dtype).removeprefix("torch.")


class _Names:
    """Unique printable names of values, from their hints."""

    def __init__(self, symbols: dict[sympy.Symbol, Value | Range | BlockSize | HostScalar]) -> None:
        self.names: dict[Value, str] = {}
        self.taken: set[str] = set()
        self.symbols = symbols

    def __call__(self, value: Value) -> str:
        if value not in self.names:
            base = value.hint or "v"
            name, k = (base, 1) if value.hint else (f"{base}0", 1)
            while name in self.taken:
                name, k = f"{base}{'_' if value.hint else ''}{k}", k + 1
            self.taken.add(name)
            self.names[value] = name
        return "%" + self.names[value]

    def size(self, size: Any) -> str:
        if isinstance(size, sympy.Expr):
            known = [s for s in size.free_symbols if s in self.symbols]
            return str(size.xreplace({s: sympy.Symbol(self._symbol(s)) for s in known}))
        return str(size)

    def _symbol(self, symbol: sympy.Symbol) -> str:
        match self.symbols[symbol]:
            case Value() as value:
                return self(value)
            case Range(name=name, scalar=scalar):
                return name if scalar else f"{name}.begin"
            case BlockSize(name=name) | HostScalar(name=name):
                return name
            case found:
                raise AssertionError(found)

    def typed(self, value: Value) -> str:
        return f"{self(value)}: {short_dtype(value.dtype)}[{', '.join(map(self.size, value.shape))}]"


def _print_program(program: Program) -> Iterator[str]:
    names = _Names(program.symbols)
    yield f"program {program.name}"
    for tensor in program.tensors:
        sizes = ", ".join(map(names.size, tensor.sizes))
        strides = ", ".join(map(names.size, tensor.strides))
        yield f"  tensor {tensor.name}: {short_dtype(tensor.dtype)}[{sizes}] strides [{strides}] from {tensor.source}"
    for scalar in program.scalars:
        yield f"  scalar {scalar.name} from {scalar.source}"
    for phase in program.phases:
        ranges = ", ".join(_print_range(r, names) for r in phase.ranges)
        yield f"  grid {ranges}:"
        yield from _print_block(phase.body, names, "    ")


def _print_range(r: Range, names: _Names) -> str:
    return f"{r.name} in [{names.size(r.begin)}, {names.size(r.end)}) by {names.size(r.width)}"


def _print_index(index: Index, op: Access, names: _Names) -> str:
    shift = ""
    match index:
        case TileIndex(r, offset, _):
            shift = f" + {names.size(offset)}" if offset != 0 else ""
            return r.name + shift
        case SliceIndex(_, start, step, _):
            return ":" if (start, step) == (0, 1) else f"{names.size(start)}::{step}"
        case PointIndex(at):
            return names.size(at)
        case ValueIndex(slot):
            return names(op.inputs[slot])
        case _:
            return "None"


def _print_block(block: Block, names: _Names, indent: str) -> Iterator[str]:
    for op in block.ops:
        results = ", ".join(map(names.typed, op.results))
        yield indent + (f"{results} = " if results else "") + _print_op(op, names)
        for k, inner in enumerate(op.blocks):
            if k > 0:
                yield f"{indent}{'else' if isinstance(op, If) else 'do'}:"
            yield from _print_block(inner, names, indent + "  ")
    if block.yields:
        yield f"{indent}yield {', '.join(map(names, block.yields))}"


def _print_op(op: Op, names: _Names) -> str:
    if isinstance(op, Access):
        index = ", ".join(_print_index(i, op, names) for i in op.index)
        stored = f", {names(op.inputs[0])}" if isinstance(op, (Store, Atomic)) else ""
        mask = f", mask {names(op.inputs[op.mask])}" if op.mask is not None else ""
        kind = f"{op.name}_{op.kind}" if isinstance(op, Atomic) else op.name
        return f"{kind} {op.tensor.name}[{index}]{stored}{mask}"
    if isinstance(op, (For, While)):
        params = zip(op.body.params, op.inputs, strict=True)
        carried = ", ".join(f"{names(p)} = {names(v)}" for p, v in params)
        head = f"for {_print_range(op.range, names)}" if isinstance(op, For) else "while"
        return head + (f" carrying {carried}" if carried else "") + ":"
    attributes = op.attributes()
    shown = ", ".join(f"{k}={names.size(v)}" for k, v in attributes.items())
    text = f"{op.name} {', '.join(map(names, op.inputs))}".rstrip()
    return f"{text} {{{shown}}}" if shown else text


def sizes_of(op: Op) -> Iterator[Size]:
    """Every size expression that an operation reads."""
    match op:
        case Scalar(expr=expr):
            yield expr
        case Indices(range=r, offset=offset):
            yield from (r.begin, r.end, r.width, offset)
        case Iota(start=start, step=step):
            yield from (start, step)
        case For(range=r):
            yield from (r.begin, r.end, r.width)
        case Access():
            yield from (*op.tensor.sizes, *op.tensor.strides)
            for index in op.index:
                match index:
                    case TileIndex(r, offset, _):
                        yield from (r.begin, r.end, r.width, offset)
                    case SliceIndex(r, start, _, _):
                        yield from (r.end, start)
                    case PointIndex(at):
                        yield at
        case _:
            pass
    for value in op.results:
        yield from value.shape


def remove_dead(program: Program) -> None:
    """Drops operations whose results nobody uses and that have no effect."""
    live = {id(v) for v in program.symbols.values() if isinstance(v, Value)}
    for phase in program.phases:
        _sweep(phase.body, live)


def _sweep(block: Block, live: set[int]) -> None:
    """Keeps what is live, last operation first; `live` grows by what the kept operations read."""
    live.update(id(value) for value in block.yields)
    kept: list[Op] = []
    for op in reversed(block.ops):
        if not op.effect and not any(id(value) in live for value in op.results):
            continue
        kept.append(op)
        live.update(id(value) for value in op.inputs)
        for inner in op.blocks:
            _sweep(inner, live)
    block.ops[:] = reversed(kept)


# --- verifier ---------------------------------------------------------------------------------------------------------


def verify(program: Program) -> None:
    """Checks that every use of a value is dominated by its definition and that loops carry what their body yields.

    Raises AssertionError: a broken program is our own mistake, never the user's.
    """
    for phase in program.phases:
        _verify_block(phase.body, set())


def _verify_block(block: Block, visible: set[int]) -> None:
    visible = visible | {id(param) for param in block.params}
    for op in block.ops:
        for value in op.inputs:
            assert id(value) in visible, f"{op.name} uses a value that does not dominate it (line {op.line[1]})"
        for inner in op.blocks:
            _verify_block(inner, visible)
        if isinstance(op, (For, While)):
            _verify_carried(op.inputs, op.body.params, op.body.yields, op.results)
        if isinstance(op, If):
            _verify_carried(op.then.yields, op.orelse.yields, op.results)
        visible.update(id(value) for value in op.results)
    for value in block.yields:
        assert id(value) in visible, "a block yields a value that is not visible in it"


def _verify_carried(*groups: Sequence[Value]) -> None:
    for values in zip(*groups, strict=True):
        first = values[0]
        for value in values[1:]:
            assert value.dtype == first.dtype and value.shape == first.shape, "a carried value changes its type"
