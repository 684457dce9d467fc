"""Tensor descriptors of one launch: what the host hands to kernels that move blocks through the TMA unit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..ir import Program
from ..lower.access import Descriptor
from .compile import signature_type
from .descriptor import make_descriptor

ALIGNMENT = 16  # bytes, of the first element


def descriptor_type(descriptor: Descriptor) -> str:
    """Triton's name of the parameter's type."""
    element = signature_type(descriptor.tensor.dtype).removeprefix("*")
    return f"tensordesc<{element}{list(descriptor.block)}>"


class Maker:
    """Makes the descriptors of a kernel from its tensor arguments."""

    def __init__(self, program: Program, descriptors: Sequence[Descriptor]) -> None:
        if descriptors:
            from triton.tools.tensor_descriptor import TensorDescriptor

            self._class = TensorDescriptor
        self._made = [(program.tensors.index(d.tensor), d.dims, list(d.block)) for d in descriptors]

    def __call__(self, args: Sequence[Any]) -> list[Any]:
        return [make_descriptor(self._class, args[at], dims, block) for at, dims, block in self._made]

    def fits(self, args: Sequence[Any]) -> bool:
        """Whether every tensor with a descriptor lies where and how descriptors may."""
        return all(_fits(args[at], dims) for at, dims, _ in self._made)


def _fits(tensor: Any, dims: Sequence[int]) -> bool:
    """Whether elements start at a multiple of 16 bytes, and so does every step along all but the last of `dims`."""
    if tensor.data_ptr() % ALIGNMENT or not tensor.numel():
        return False
    *outer, inner = (tensor.stride(d) for d in dims)
    return inner == 1 and all(stride > 0 and stride * tensor.element_size() % ALIGNMENT == 0 for stride in outer)
