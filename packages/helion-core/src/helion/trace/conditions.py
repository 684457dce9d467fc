"""Device scalars as conditions: of `if` and `while`, and as operands of `and`, `or` and `not`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from .. import exc
from .symbols import is_symbolic
from .values import Tile, TileTensor

if TYPE_CHECKING:
    from .tracer import Tracer

_INSTEAD = {
    "and": "combine element by element with `&`, each side in parentheses: (a > 0) & (b > 0)",
    "or": "combine element by element with `|`, each side in parentheses: (a > 0) | (b > 0)",
    "not": "negate element by element with `~`",
    "chained comparison": "write both comparisons and join them with `&`: (a < b) & (b < c)",
}


def as_condition(tracer: Tracer, value: Any, statement: str) -> Any:
    """`value` as a device condition: a 0-d bool value."""
    what = ("an operand of" if statement in _INSTEAD else "the condition of") + f" `{statement}`"
    if isinstance(value, Tile):
        raise exc.InvalidArgument(what=f"a tile as {what}", instead="compare tile.begin, tile.end or tile.index")
    if not isinstance(value, TileTensor):
        return tracer.scalar(value, torch.bool)
    if value.value.dims:
        instead = _INSTEAD.get(statement, "use torch.where(condition, a, b) for element-wise choice")
        raise exc.VectorCondition(what=what, shape=tracer.show(value.value.shape), instead=instead)
    return value if value.value.dtype is torch.bool else value != 0


def as_operand(tracer: Tracer, value: Any, word: str) -> Any:
    """`value`, a device scalar, as an operand of `and` or `or`. Raises as `as_condition` does."""
    condition = as_condition(tracer, value, word)
    return value if isinstance(value, TileTensor) else tracer.scalar(value) if is_symbolic(value) else condition


def either(tracer: Tracer, first: Any, second: Any, word: str) -> Any:
    """`first and second`, or `or`, of device scalars and numbers: the one of them that Python would hand back."""
    test = as_condition(tracer, first, word)
    if isinstance(second, TileTensor) and first.dtype is second.dtype is torch.bool:
        return test & second if word != "or" else test | second
    return torch.where(test, first, second) if word == "or" else torch.where(test, second, first)
