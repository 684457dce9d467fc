"""Whether torch looks on at a call."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch

from . import versions

_PLAIN = (torch.Tensor, torch.nn.Parameter)


def looked_on(args: Sequence[Any]) -> bool:
    """Whether a call with `args` must go through the dispatcher: torch looks on, a tensor's memory is not what it holds
    (it has none, or the negative of it), or a tensor has a tangent.
    """
    return versions.looked_on() or any(map(_special, args))


def _special(value: Any) -> bool:
    kind = type(value)
    if kind in _PLAIN:
        return value.is_meta or value.is_neg() or versions.wrapped(value) or versions.forward_mode([value])
    if isinstance(value, torch.Tensor):
        return value.is_meta or versions.dispatches(kind) or versions.forward_mode([value])
    if kind in (list, tuple):
        return any(map(_special, value))
    if dataclasses.is_dataclass(kind):
        return any(map(_special, vars(value).values()))
    return kind is dict and any(map(_special, value.values()))
