"""Addresses in Triton's interpreter: what lies in none of the tensors is neither read nor written, but reported.

On a GPU the same access reads what happens to lie there, or ends in an illegal memory access.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch

Spans = Sequence[tuple[int, int]]  # first address of each tensor, and the one behind its last element


class OutsideOfTensors(Exception):
    """A kernel reads or writes, as `does` says, where none of its tensors lies."""

    def __init__(self, does: str) -> None:
        super().__init__(f"it {does} outside of all its tensors")
        self.does = does


def spans_of(values: Sequence[Any]) -> Spans:
    """Where the tensors among `values` lie."""
    return [_span(value) for value in values if isinstance(value, torch.Tensor)]


def _span(tensor: torch.Tensor) -> tuple[int, int]:
    start = tensor.data_ptr()
    if tensor.numel() == 0:
        return start, start
    last = sum((size - 1) * stride for size, stride in zip(tensor.size(), tensor.stride(), strict=True))
    return start, start + (last + 1) * tensor.itemsize


@contextmanager
def checked(builder: Any, spans: Spans) -> Iterator[None]:
    """While the interpreter's `builder` refuses to reach outside of `spans`."""
    with ExitStack() as stack:
        for name, does, mask in (
            ("create_masked_load", "reads", 1), ("create_masked_store", "writes", 2),
            ("create_atomic_rmw", "updates memory", 3), ("create_atomic_cas", "updates memory", None),
        ):  # fmt: skip
            original = getattr(builder, name)
            setattr(builder, name, _guarded(original, spans, does, mask))
            stack.callback(setattr, builder, name, original)
        yield


def _guarded(original: Callable[..., Any], spans: Spans, does: str, mask: int | None) -> Callable[..., Any]:
    at = 1 if does == "updates memory" and mask is not None else 0  # the kind of an atomic update stands first

    def access(*args: Any, **options: Any) -> Any:
        pointers = args[at].data
        if mask is not None:
            pointers = pointers[np.broadcast_to(args[mask].data, pointers.shape)]
        if pointers.size:
            first, last = int(pointers.min()), int(pointers.max())
            if not any(start <= first and last < end for start, end in spans):
                raise OutsideOfTensors(does)
        return original(*args, **options)

    return access
