"""Making one tensor descriptor, with no more imports than the process that measures can afford."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def joined(dims: Sequence[Sequence[int]], sizes: Sequence[int], strides: Sequence[int]) -> tuple[list[int], list[int]]:
    """Sizes and strides of a descriptor whose dimensions are each one or more of a tensor's."""
    return [math.prod(sizes[d] for d in group) for group in dims], [strides[group[-1]] for group in dims]


def make_descriptor(cls: Any, tensor: torch.Tensor, dims: Sequence[Sequence[int]], block: list[int]) -> Any:
    """A descriptor without Triton's checks, which were made when the access was found legal."""
    result = cls.__new__(cls)
    result.base, result.block_shape = tensor, block
    result.shape, result.strides = joined(dims, tensor.shape, tensor.stride())
    result.padding, result.round_f32_to_tf32 = "zero", False
    return result
