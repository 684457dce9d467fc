"""Numbers of the caller where a trace needs to know them: dimensions, sizes, counts and positions within values.

Numbers that values are computed with stay open; sizes of tensors do, too.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import torch
from torch.utils._pytree import tree_map_only

if TYPE_CHECKING:
    from .state import TraceState


def constant(state: TraceState, tree: Any) -> Any:
    """`tree` with the caller's integers in it as those of this call, for which alone the trace then holds."""

    def known(number: torch.SymInt) -> Any:
        scalars = [state.host_scalars.get(symbol) for symbol in number.node.expr.free_symbols]
        open_ = None in scalars or (scalars and all(scalar.is_size for scalar in scalars if scalar is not None))
        return number if open_ else int(number)

    return tree_map_only(torch.SymInt, known, tree)


def structural(state: TraceState, func: Any, args: Any, kwargs: Any) -> tuple[Any, Any]:
    """The arguments of an aten operator, with those integers constant that its schema does not call scalars."""
    if not any(isinstance(a, (torch.SymInt, list, tuple)) for a in (*args, *kwargs.values())):
        return args, kwargs
    takes = _integers(func)
    known = tuple(constant(state, a) if is_int else a for is_int, a in zip(takes.values(), args, strict=False))
    return known, {name: constant(state, value) if takes[name] else value for name, value in kwargs.items()}


@functools.cache
def _integers(func: Any) -> dict[str, bool]:
    """Which parameters of an aten operator are integers, or lists of them, in the order of its schema."""
    return {a.name: "int" in str(a.type) for a in func._schema.arguments}  # of scalars the type is "number"
