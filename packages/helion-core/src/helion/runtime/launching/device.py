"""The device of a launch: making it the current one, and how many multiprocessors it has."""

from __future__ import annotations

import functools
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from ...lower.grid import INTERPRETER_UNITS
from . import stream


def on_device(index: int) -> AbstractContextManager[Any]:
    """Makes a CUDA device the current one, where it is not."""
    return nullcontext() if index == stream.current_device() else torch.cuda.device(index)


def multiprocessors(tensor: torch.Tensor) -> int:
    """How many multiprocessors the device of `tensor` has; a constant for the interpreter."""
    return _multiprocessors(tensor.get_device()) if tensor.is_cuda else INTERPRETER_UNITS


@functools.cache
def _multiprocessors(index: int) -> int:
    return int(torch.cuda.get_device_properties(index).multi_processor_count)
