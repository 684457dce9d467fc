"""The parameter types of a generated kernel, as Triton names them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..binaries.compile import signature_type
from .descriptors import descriptor_type

if TYPE_CHECKING:
    from ...emit.module import Generated


def signature(generated: Generated, numbers: Sequence[Any] | None = None) -> list[str]:
    """Types of tensors, numbers and descriptors, in order.

    `numbers`: the values of the kernel's numbers in one launch, of which integers may need 64 bits; without them, what
    the program says.
    """
    program = generated.program
    types = [signature_type(t.dtype) for t in program.tensors]
    for k, scalar in enumerate(program.scalars):
        wide = scalar.is_wide if numbers is None else not fits_32_bits(numbers[k])
        types.append(f"fp{64 if scalar.is_wide else 32}" if scalar.is_float else f"i{64 if wide else 32}")
    return [*types, *map(descriptor_type, generated.descriptors)]


def fits_32_bits(value: float) -> bool:
    return -(2**31) <= value < 2**31
