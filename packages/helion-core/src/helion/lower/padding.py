"""What the padding lanes of a value hold: a known constant, or anything.

A `where` is needed before a reduction or a matrix product only if the padding does not hold the operation's identity.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from torch.utils._python_dispatch import _disable_current_modes

from .. import ir
from ..exactly import exactly_cached
from ..ir import Program, Slot, Value
from .layout import Layout

IDENTITIES: dict[str, float] = {
    "sum": 0, "prod": 1, "max": float("-inf"), "min": float("inf"), "argmax": float("-inf"), "argmin": float("inf"),
}  # fmt: skip


def identity(kind: str, dtype: torch.dtype) -> int | float:
    """The value that leaves a reduction of `kind` unchanged, representable in `dtype`."""
    value = IDENTITIES[kind]
    if dtype.is_floating_point or value in (0, 1):
        return value
    if dtype is torch.bool:
        return value > 0
    info = torch.iinfo(dtype)
    return info.min if value < 0 else info.max


class Padding:
    """Padding contents of the values of one program under one layout."""

    def __init__(self, program: Program, layout: Layout, unclipped: Collection[tuple[Value, int]] = ()) -> None:
        """`unclipped`: (value, dim) pairs of loads that do not fill their padding with zeros."""
        self._layout, self._unclipped = layout, unclipped
        self._definitions: dict[Value, ir.Op] = {v: op for op in program.ops() for v in op.results}
        self._known: dict[tuple[Value, int], Any] = {}

    def content(self, value: Value, dim: int) -> Any:
        """The constant that every padding lane along `dim` holds, or None where it is not known."""
        key = (value, dim)
        if key not in self._known:
            self._known[key] = None  # a value never depends on itself, loops give their parameters no definition
            self._known[key] = self._compute(value, dim)
        return self._known[key]

    def _compute(self, value: Value, dim: int) -> Any:
        match self._definitions.get(value):
            case ir.Load():
                if (value, dim) in self._unclipped:
                    return None
                return False if value.dtype is torch.bool else 0
            case ir.Full(fill=fill) if fill is not None:
                return fill
            case ir.Cast(inputs=(source,)):
                found = self.content(source, dim)
                return None if found is None else _cast(found, value.dtype)
            case ir.Permute(order=order, inputs=(source,)):
                return self.content(source, order[dim])
            case ir.Reshape(inputs=(source,)):
                return self._through_reshape(value, source, dim)
            case ir.Expand(inputs=(source,)):
                return self.content(source, dim) if source.dims[dim] == value.dims[dim] else self._constant(source)
            case ir.Pointwise() as op:
                return self._through_pointwise(op, value, dim)
            case ir.Reduce() as op:
                return self._through_reduce(op, dim)
            case _:
                return None

    def _constant(self, value: Value) -> Any:
        """The number that every lane of `value` holds, where it is one."""
        match self._definitions.get(value):
            case ir.Full(fill=fill):
                return fill
            case ir.Cast(inputs=(source,)):
                found = self._constant(source)
                return None if found is None else _cast(found, value.dtype)
            case ir.Reshape(inputs=(source,)) | ir.Expand(inputs=(source,)) | ir.Permute(inputs=(source,)):
                return self._constant(source)
            case _:
                return None

    def _through_reshape(self, value: Value, source: Value, dim: int) -> Any:
        """Unit dims come and go; a merged or split dim is not followed."""
        wanted = value.dims[dim]
        real = [k for k, d in enumerate(source.dims) if d.size != 1]
        kept = [k for k, d in enumerate(value.dims) if d.size != 1]
        if dim in kept and len(real) == len(kept) and source.dims[real[kept.index(dim)]] == wanted:
            return self.content(source, real[kept.index(dim)])
        return self._constant(source)

    def _through_pointwise(self, op: ir.Pointwise, value: Value, dim: int) -> Any:
        needed = self._layout.active(value.dims[dim].ranges)
        constants = []
        for operand in op.inputs:
            at = dim - (len(value.dims) - len(operand.dims))
            known = self._constant(operand)
            if known is None and at >= 0 and self._layout.active(operand.dims[at].ranges) == needed:
                known = self.content(operand, at)
            if known is None:
                return None
            constants.append(known)
        dtypes = tuple(v.dtype for v in op.inputs)
        return _evaluate(op.target, op.args, op.kwargs, tuple(constants), dtypes)

    def _through_reduce(self, op: ir.Reduce, dim: int) -> Any:
        known = self.content(op.inputs[0], dim + (dim >= op.dim))
        if op.kind in ("max", "min") or (op.kind == "sum" and known == 0) or (op.kind == "prod" and known == 1):
            return known
        return None


def _cast(value: Any, dtype: torch.dtype) -> Any:
    if dtype is torch.bool:
        return bool(value)
    if dtype.is_floating_point:
        return float(value)
    return int(value) if value == value and abs(value) != float("inf") else None


@exactly_cached
def _evaluate(target: Any, args: Any, kwargs: Any, constants: tuple[Any, ...], dtypes: Any) -> Any:
    """The operator run on numbers; exact, and simpler than value ranges."""

    def number(a: Any) -> Any:
        if isinstance(a, Slot):
            return torch.tensor(constants[a.index], dtype=dtypes[a.index])
        return tuple(map(number, a)) if isinstance(a, tuple) else a

    with _disable_current_modes(), torch.no_grad():
        result = target(*map(number, args), **{k: number(v) for k, v in kwargs}).item()
    return None if result != result else result
