"""The torch function mode under which tile loops run as plain PyTorch: subscripts with tiles, tiles as sizes."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_iter, tree_map

from .. import exc, location
from . import indexing
from .products import dot
from .tiles import EagerTile, TileSize, real_size

_SHIFTS = {"add": 1, "__add__": 1, "__radd__": 1, "sub": -1, "__sub__": -1}
_COMPARISONS = frozenset({"eq", "ne", "lt", "le", "gt", "ge"})
_ACCUMULATING = {"addmm": 0, "baddbmm": 0}


class EagerMode(TorchFunctionMode):
    """Turns tiles into what they stand for; everything else is torch's."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.Tensor.__getitem__:
            return indexing.load(args[0], args[1])
        if func is torch.Tensor.__setitem__:
            return indexing.store(args[0], args[1], args[2])
        name = getattr(func, "__name__", "")
        if any(isinstance(a, EagerTile) for a in args[:2]) and name in _SHIFTS:
            tile, other = args if isinstance(args[0], EagerTile) else (args[1], args[0])
            return tile.shifted(_SHIFTS[name] * int(other))
        if any(isinstance(a, (EagerTile, TileSize)) for a in tree_iter((args, kwargs))):
            args, kwargs = tree_map(real_size, (args, kwargs))
        if name.strip("_") in _COMPARISONS:
            args = _in_full(args)
        if name in _ACCUMULATING and args[0].dtype != args[1].dtype:
            return dot(args[1], args[2], args[0], args[0].dtype)
        try:
            return func(*args, **kwargs)
        except RuntimeError as error:
            if "must match the size" not in str(error):
                raise
            # as traced, for whole tiles, the sizes agree
            raise exc.UnsupportedOperation(
                op=f"`{name}`", reason=f" when the kernel runs as plain PyTorch, where a last tile is shorter: {error}",
                instead="run the kernel compiled (interpret=False), or with sizes that the block sizes divide",
                location=location.here(),
            ) from None  # fmt: skip


def _in_full(operands: Any) -> Any:
    """Integers to compare, none of them narrowed: torch takes a 0-d one to the dtype of the other, as an index."""
    if len(operands) != 2 or any(not isinstance(x, torch.Tensor) or x.is_floating_point() for x in operands):
        return operands
    dtype = functools.reduce(torch.promote_types, (x.dtype for x in operands))
    return tuple(x.to(dtype) for x in operands)
