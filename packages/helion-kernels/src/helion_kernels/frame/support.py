"""Which calls our kernels take; torch takes the rest, and the user is told once."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Collection

import torch

from .. import settings


class FallbackWarning(UserWarning):
    """A call was left to torch, whose tensors our kernels do not take. Said once for each operation and reason."""


DTYPES = frozenset({torch.bfloat16, torch.float16, torch.float32})
_said: set[tuple[str, str]] = set()


def usable(op: str, *tensors: torch.Tensor | None, dtypes: Collection[torch.dtype] = DTYPES) -> bool:
    """Whether our kernels of `op` take these tensors: dense, on one GPU, of a dtype among `dtypes`.

    None stands for an argument that is not given. Where the answer is False, call torch: it computes what we cannot,
    and its errors are the ones that users know.
    """
    first = None
    for tensor in tensors:
        if tensor is None:
            continue
        reason = None
        if tensor.dtype not in dtypes:
            reason = f"{str(tensor.dtype).removeprefix('torch.')} tensors"
        elif not tensor.is_cuda and not (settings.cpu == "interpret" and tensor.is_cpu):
            reason = f"{tensor.device.type} tensors"
        elif tensor.layout is not torch.strided:
            reason = f"{str(tensor.layout).removeprefix('torch.')} tensors"
        elif first is not None and tensor.device != first.device:
            reason = "tensors on several devices"
        if reason is not None:
            decline(op, reason)
            return False
        first = first if first is not None else tensor
    return True


def decline(op: str, reason: str) -> None:
    """Says, once for each operation and reason, that torch computes `op`."""
    if torch.compiler.is_compiling() or (op, reason) in _said:
        return
    _said.add((op, reason))
    message = f"helion_kernels.{op} leaves {reason} to torch (said once; filter helion_kernels.FallbackWarning)"
    warnings.warn(message, FallbackWarning, stacklevel=_depth_of_user())


def _depth_of_user() -> int:
    """How far above `decline` the first frame outside this package and torch is: the warning names the user's line."""
    depth = 2
    frame = sys._getframe(depth)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(("helion_kernels.", "torch.")):
        frame, depth = frame.f_back, depth + 1
    return depth
