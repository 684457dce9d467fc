"""Tensor descriptors of one launch: what the host hands to kernels that move blocks through the TMA unit.

Triton's own descriptors are taken apart at every launch. What the C function beneath takes instead, an object that
holds a CUtensorMap, depends on address, sizes and strides alone and is copied by a launch: it is kept for the next one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ...ir import Program
from ...lower.access import Descriptor
from ..binaries.compile import signature_type
from .descriptor import joined, make_descriptor

ALIGNMENT = 16  # bytes, of the first element
KEPT = 256  # objects of one descriptor, the last used: weights of many layers have one layout


def descriptor_type(descriptor: Descriptor) -> str:
    """Triton's name of the parameter's type."""
    element = signature_type(descriptor.tensor.dtype).removeprefix("*")
    return f"tensordesc<{element}{list(descriptor.block)}>"


@dataclass(frozen=True)
class Described:
    """A descriptor of `dims` of the tensor at position `tensor`, whose elements have `itemsize` bytes. Each is one
    dimension or several that count as one.
    """

    tensor: int
    dims: tuple[tuple[int, ...], ...]
    block: tuple[int, ...]
    itemsize: int

    def fits(self, address: int, sizes: Sequence[int], strides: Sequence[int]) -> bool:
        """Whether elements start at a multiple of 16 bytes, and so does every step along all but the last of `dims`."""
        if address % ALIGNMENT or 0 in sizes:
            return False
        *outer, inner = joined(self.dims, sizes, strides)[1]
        return inner == 1 and all(step > 0 and step * self.itemsize % ALIGNMENT == 0 for step in outer)


class Maker:
    """Makes the descriptors of a kernel from its tensor arguments, as Triton takes them."""

    def __init__(self, program: Program, descriptors: Sequence[Descriptor]) -> None:
        if descriptors:
            from triton.tools.tensor_descriptor import TensorDescriptor

            self._class = TensorDescriptor
        self.described = [
            Described(program.tensors.index(d.tensor), tuple(d.dims), tuple(d.block), d.tensor.dtype.itemsize)
            for d in descriptors
        ]

    def __call__(self, args: Sequence[Any]) -> list[Any]:
        return [self.one(d, args[d.tensor]) for d in self.described]

    def one(self, described: Described, tensor: Any) -> Any:
        return make_descriptor(self._class, tensor, described.dims, list(described.block))

    def fits(self, args: Sequence[Any]) -> bool:
        """Whether every tensor with a descriptor lies where and how descriptors may."""
        tensors = [(d, args[d.tensor]) for d in self.described]
        return all(d.fits(t.data_ptr(), t.size(), t.stride()) for d, t in tensors)


@dataclass(frozen=True)
class Mapped:
    """A descriptor as the C function takes it: an object, then sizes and strides.

    `fill` makes the object from an address, `before`, sizes, strides and `after`.
    """

    of: Described
    fill: Callable[..., Any]
    before: tuple[Any, ...]
    after: tuple[Any, ...]

    def numbers(self, sizes: Sequence[int], strides: Sequence[int]) -> tuple[list[int], list[int]]:
        return joined(self.of.dims, sizes, strides)

    def of_any_layout(self) -> Callable[..., tuple[Any, ...] | None]:
        """A function of a tensor's address, sizes and strides: all that is passed, or None where it does not fit."""

        def passed(address: int, sizes: tuple[int, ...], strides: tuple[int, ...]) -> tuple[Any, ...] | None:
            if not self.of.fits(address, sizes, strides):
                return None
            own, steps = self.numbers(sizes, strides)
            return self.fill(address, *self.before, own, steps, *self.after), *own, *steps

        return functools.lru_cache(KEPT)(passed)

    def of_one_layout(self, sizes: Sequence[int], strides: Sequence[int]) -> Callable[[int], Any]:
        """A function of the address of a tensor, which must fit: the object alone."""
        numbers = self.numbers(sizes, strides)
        return functools.lru_cache(KEPT)(lambda address: self.fill(address, *self.before, *numbers, *self.after))
