"""Where tensors lie, and whether they share memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from .symbols import is_symbolic


@dataclass(frozen=True)
class Memory:
    """Where a tensor lies: its storage, offset, sizes and strides (None where they are symbols), and whether it fills
    its storage.
    """

    storage: int
    layout: tuple[Any, ...] | None
    whole: bool

    @staticmethod
    def of(tensor: torch.Tensor) -> Memory:
        storage = tensor.untyped_storage()
        layout = (tensor.storage_offset(), *tensor.size(), *tensor.stride())
        if any(is_symbolic(n) for n in (storage.nbytes(), *layout)):
            return Memory(storage._cdata, None, False)
        return Memory(storage._cdata, layout, tensor.numel() * tensor.itemsize == storage.nbytes())

    def overlaps(self, other: Memory) -> bool:
        """Whether the two share elements for certain."""
        if self.storage != other.storage:
            return False
        return self.whole or other.whole or (self.layout is not None and self.layout == other.layout)
