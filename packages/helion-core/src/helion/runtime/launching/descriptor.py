"""Making one tensor descriptor, with no more imports than the process that measures can afford."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def make_descriptor(cls: Any, tensor: torch.Tensor, dims: Sequence[int], block: list[int]) -> Any:
    """A descriptor without Triton's checks, which were made when the access was found legal."""
    result = cls.__new__(cls)
    sizes, strides = tensor.shape, tensor.stride()
    result.base, result.block_shape = tensor, block
    result.shape, result.strides = [sizes[d] for d in dims], [strides[d] for d in dims]
    result.padding, result.round_f32_to_tf32 = "zero", False
    return result
