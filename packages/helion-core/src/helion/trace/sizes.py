"""Sizes and bounds: numbers and symbols as expressions, the dimensions and block sizes that have them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import sympy
import torch

from .. import exc, location
from ..ir import BlockSize, Dim, Range, Size
from . import shapes
from .constants import constant
from .state import TraceState
from .symbols import expr_of
from .values import Tile, TileTensor


class Sizing(TraceState):
    """What a trace asks of sizes."""

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

    # --- dimensions of values

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
            name = re.sub(r"\W+", "_", self.spelled(size)).strip("_")
            found = Range(name=f"dim_{name}", begin=0, end=size, width=size, base=0, full=True)
            self._full_ranges[size] = found
        return found

    def dim(self, size: Size) -> Dim:
        """A dimension of `size` lanes with no tile behind it: padded and masked unless it is a block size."""
        if shapes.is_one(size) or self.env.is_device(size):
            return Dim(size)
        return Dim(size, frozenset({self.full_range(size)}))

    def dims_of(self, shape: Sequence[Any]) -> tuple[Dim, ...]:
        """Dims of a new value: tiles bring their range along."""
        if not isinstance(shape, (list, tuple, torch.Size)):
            shape = [shape]
        dims = []
        for size in shape:
            if isinstance(size, Tile):
                dims.append(Dim(size.range.width, frozenset({size.range})))
            else:
                dims.append(self.dim(self.size_of(constant(self, size))))
        return tuple(dims)

    def need_lanes(self, size: Size, lanes: int) -> None:
        """Makes a dimension at least `lanes` wide on the device: a block size by its minimum, others by padding."""
        if isinstance(size, int):
            if size < lanes:
                self.min_lanes[size] = max(lanes, self.min_lanes.get(size, 0))
            return
        block = self.symbols.get(size) if isinstance(size, sympy.Symbol) else None
        if isinstance(block, BlockSize):
            block.minimum = max(block.minimum, lanes)

    # --- block sizes

    def new_block(self, extent: Size | None, minimum: int = 1, maximum: int | None = None) -> BlockSize:
        index = len(self.blocks)
        block = BlockSize(index, f"BLOCK_{index}", self.env.block_symbol(index), minimum, maximum, extent)
        self.blocks.append(block)
        self.symbols[block.symbol] = block
        self.places.blocks.setdefault(location.site(), []).append(index)
        return block

    def jagged_rows(self) -> frozenset[int]:
        """The block sizes of tiles along which lengths of jagged loops run."""
        widths = {r.width for lengths in self.jagged.values() for r in lengths.value.dims[0].ranges}
        return frozenset(block.id for block in self.blocks if block.symbol in widths)
