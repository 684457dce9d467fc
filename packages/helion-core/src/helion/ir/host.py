"""What a kernel takes from the host: tensors and numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import sympy
import torch

from .base import Size


@dataclass(eq=False)
class HostTensor:
    """A tensor of the host that the device reads or writes. `source` is the Python expression the wrapper passes."""

    name: str
    source: str
    dtype: torch.dtype
    sizes: tuple[Size, ...]
    strides: tuple[Size, ...]
    phase: int
    borrowed: bool = False
    """Whether its memory was there before the call: that of an argument or a global, or a view of one."""

    def __repr__(self) -> str:
        return self.name


@dataclass(eq=False)
class HostScalar:
    """A number of the host that the device reads; `is_wide`: it takes 64 bits whatever it is.

    `is_size`: a size or stride of a tensor rather than an argument.
    """

    name: str
    source: str
    symbol: sympy.Symbol
    is_float: bool
    is_wide: bool = False
    is_size: bool = False


class Baked(NamedTuple):
    """Stands for a host call that a config decides: the constant to write in its place."""

    value: Any
