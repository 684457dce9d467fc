"""Operations and blocks as readable text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sympy
import torch

from .base import Block, BlockSize, Op, Range, Value
from .control import For, If, While
from .host import HostScalar
from .memory import Access, Atomic, Index, PointIndex, SliceIndex, Store, TileIndex, ValueIndex

_SHORT = {
    torch.float32: "f32", torch.float64: "f64", torch.float16: "f16", torch.bfloat16: "bf16", torch.bool: "bool",
    torch.int8: "i8", torch.int16: "i16", torch.int32: "i32", torch.int64: "i64", torch.uint8: "u8",
    torch.float8_e4m3fn: "f8e4m3", torch.float8_e5m2: "f8e5m2",
}  # fmt: skip


def short_dtype(dtype: torch.dtype) -> str:
    """`f32` for torch.float32 and so on."""
    return _SHORT.get(dtype) or str(dtype).removeprefix("torch.")


class Names:
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


def print_range(r: Range, names: Names) -> str:
    return f"{r.name} in [{names.size(r.begin)}, {names.size(r.end)}) by {names.size(r.width)}"


def _print_index(index: Index, op: Access, names: Names) -> str:
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


def print_block(block: Block, names: Names, indent: str) -> Iterator[str]:
    for op in block.ops:
        results = ", ".join(map(names.typed, op.results))
        yield indent + (f"{results} = " if results else "") + _print_op(op, names)
        for k, inner in enumerate(op.blocks):
            if k > 0:
                yield f"{indent}{'else' if isinstance(op, If) else 'do'}:"
            yield from print_block(inner, names, indent + "  ")
    if block.yields:
        yield f"{indent}yield {', '.join(map(names, block.yields))}"


def _print_op(op: Op, names: Names) -> str:
    if isinstance(op, Access):
        index = ", ".join(_print_index(i, op, names) for i in op.index)
        stored = f", {names(op.inputs[0])}" if isinstance(op, (Store, Atomic)) else ""
        mask = f", mask {names(op.inputs[op.mask])}" if op.mask is not None else ""
        kind = f"{op.name}_{op.kind}" if isinstance(op, Atomic) else op.name
        return f"{kind} {op.tensor.name}[{index}]{stored}{mask}"
    if isinstance(op, (For, While)):
        params = zip(op.body.params, op.inputs, strict=True)
        carried = ", ".join(f"{names(p)} = {names(v)}" for p, v in params)
        head = f"for {print_range(op.range, names)}" if isinstance(op, For) else "while"
        return head + (f" carrying {carried}" if carried else "") + ":"
    attributes = op.attributes()
    shown = ", ".join(f"{k}={names.size(v)}" for k, v in attributes.items())
    text = f"{op.name} {', '.join(map(names, op.inputs))}".rstrip()
    return f"{text} {{{shown}}}" if shown else text
