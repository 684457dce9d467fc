"""Names of kernels: a graph of torch's can hold a string, but no kernel."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from ..runtime.abstract import AbstractKernel

_kernels: WeakValueDictionary[str, AbstractKernel] = WeakValueDictionary()
_numbers = itertools.count()


def handle(kernel: AbstractKernel) -> str:
    """A name for `kernel` that no other of this process has."""
    name = f"{kernel.fn.__qualname__}#{next(_numbers)}"
    _kernels[name] = kernel
    return name


def kernel_of(name: str) -> AbstractKernel:
    return _kernels[name]
