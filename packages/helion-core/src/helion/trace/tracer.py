"""What operators record a kernel with: operations and their results, new values, tiles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sympy
import torch
from torch.utils._sympy.functions import CeilDiv, FloorDiv, Max, Min

from .. import exc, ir, location
from ..ir import Dim, Value
from .host_tensors import direct_usage
from .hosted import hosted
from .sizes import Sizing
from .symbols import expr_of, is_symbolic
from .values import Tile, TileTensor

_NO_COMPLEX = (
    "compute on real and imaginary parts: torch.view_as_real(x) on the host gives them as a last dimension of 2"
)


class Tracer(Sizing):
    """Records what device code computes into the current block."""

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

    def emit(self, op: ir.Op, dims: Sequence[Dim], dtype: torch.dtype, hint: str = "") -> TileTensor:
        """Records `op` with one result of the given dims and dtype, and wraps it."""
        if dtype.is_complex:
            raise exc.DtypeMismatch(op=op.name, problem=f"{dtype} is complex", instead=_NO_COMPLEX)
        op.results = (Value(tuple(dims), dtype, hint),)
        self.record(op)
        if dtype is torch.int32 and self._is_of_indices(op):
            self.indices.add(op.result)
        return self.wrap(op.result)

    def _is_of_indices(self, op: ir.Op) -> bool:
        """Whether `op` makes indices of tiles, or computes with some and nothing but numbers and conditions."""
        if isinstance(op, ir.Indices):
            return True
        if not isinstance(op, (ir.Pointwise, ir.Reshape, ir.Expand, ir.Permute)):
            return False
        found = [v in self.indices for v in op.inputs if v.dims and v.dtype is not torch.bool]
        return bool(found) and all(found)

    def mark(self) -> tuple[int, ...]:
        """How far the trace has come, for `rewind`."""
        return len(self.blocks), len(self.updates), self.loads, self.stores, self.loops

    def rewind(self, mark: tuple[int, ...]) -> None:
        """Forgets block sizes and numbers handed out since `mark`, because that part is traced again."""
        count, updates, self.loads, self.stores, self.loops = mark
        del self.blocks[count:], self.updates[updates:]
        for numbers in self.places.blocks.values():
            numbers[:] = [n for n in numbers if n < count]

    def check_updates(self, block: ir.Block) -> None:
        """Raises `LostUpdate` for `out[tile].add_(x)`: eager changes `out`, a kernel a copy that nothing else sees."""
        updates, self.updates = self.updates, []
        if not updates:
            return
        used = {v for op in block.walk() for v in (*op.inputs, *(y for inner in op.blocks for y in inner.yields))}
        used |= {v for v in self.symbols.values() if isinstance(v, Value)}
        for tensor, place in updates:
            if tensor.loaded is not None and tensor.value not in used:
                raise exc.LostUpdate(name=tensor.loaded.source, location=place)

    # --- numbers and new values

    def scalar(self, number: Any, dtype: torch.dtype | None = None) -> TileTensor:
        """A 0-d value from a symbolic (or plain) number."""
        if isinstance(number, torch.Tensor):
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

    def caller_number(self, number: Any) -> TileTensor | None:
        """An integer made of the caller's numbers alone, to be compared with int32 values; None for any other."""
        expr = hosted(self, number.node.expr)
        if expr not in self.host_scalars or self.host_scalars[expr].is_wide:
            return None
        return self.emit(ir.Number(expr=expr), (), torch.int32)

    def number(self, number: Any, double: bool) -> TileTensor:
        """A 0-d value from a symbolic number, which keeps the 64 bits of a float where `double`."""
        if not double or not isinstance(number, torch.SymFloat):
            return self.scalar(number)
        result = self.scalar(number, torch.float64)
        for symbol in self.block.ops[-1].expr.free_symbols & self.host_scalars.keys():  # type: ignore[union-attr]
            self.host_scalars[symbol].is_wide = True
        return result

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
