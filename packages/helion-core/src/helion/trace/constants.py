"""Numbers of the caller where a trace needs to know them: dimensions, sizes, counts and positions within values.

Numbers that values are computed with stay open; sizes of tensors do, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.utils._pytree import tree_map_only

if TYPE_CHECKING:
    from .state import TraceState


def constant(state: TraceState, tree: Any) -> Any:
    """`tree` with the caller's integers in it as those of this call, for which alone the trace then holds."""

    def known(number: torch.SymInt) -> Any:
        scalars = [state.host_scalars.get(symbol) for symbol in number.node.expr.free_symbols]
        sizes = [scalar is None or scalar.is_size for scalar in scalars]
        given = None not in scalars and not (sizes and all(sizes))
        return int(number) if given else number

    return tree_map_only(torch.SymInt, known, tree)


def structural(state: TraceState, func: Any, args: Any, kwargs: Any) -> tuple[Any, Any]:
    """The arguments of an aten operator, with those integers constant that its schema does not call scalars."""
    if not any(isinstance(a, (torch.SymInt, list, tuple)) for a in (*args, *kwargs.values())):
        return args, kwargs
    takes = {a.name: "Scalar" not in str(a.type) and "int" in str(a.real_type).lower() for a in func._schema.arguments}
    named = zip(func._schema.arguments, args, strict=False)
    known = tuple(constant(state, value) if takes[argument.name] else value for argument, value in named)
    return known, {name: constant(state, value) if takes[name] else value for name, value in kwargs.items()}
