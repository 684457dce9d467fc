"""Tensors as matrices of rows, and the shares of rows that programs sum up."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch

INTERPRETER_PROGRAMS = 3  # few, since they run one after the other; odd, so that shares differ in size
PROGRAMS_PER_UNIT = 4  # of a multiprocessor, so that some wait for memory while others compute


def as_rows(x: torch.Tensor, n: int) -> torch.Tensor:
    """`x` as [rows, n]; a view where the strides allow one."""
    return x.reshape(-1, n)


def row_length(normalized_shape: Sequence[int]) -> int:
    length = 1
    for size in normalized_shape:
        length *= size
    return length


def share_of_rows(rows: int, device: torch.device) -> int:
    """How many rows one program sums, where sums over all rows are taken in two stages.

    There are as many programs as the device keeps busy: their sums, which a second kernel adds up in a fixed order,
    stay few, and no atomics are needed.
    """
    programs = PROGRAMS_PER_UNIT * _units(device.index) if device.type == "cuda" else INTERPRETER_PROGRAMS
    return -(-rows // programs)


@functools.cache
def _units(index: int) -> int:
    return torch.cuda.get_device_properties(index).multi_processor_count


def normalizes(x: torch.Tensor, normalized_shape: Sequence[int], *parameters: torch.Tensor | None) -> bool:
    """Whether `normalized_shape` is the end of the shape of `x`, and that of all `parameters`."""
    shape = tuple(normalized_shape)
    if not shape or tuple(x.shape[-len(shape) :]) != shape:
        return False
    return all(p is None or tuple(p.shape) == shape for p in parameters)
