"""The current CUDA device and stream, read without making either."""

from __future__ import annotations

from typing import Any

import torch

# names of torch builds with CUDA only
current_device: Any = getattr(torch._C, "_cuda_getDevice", None)
current: Any = getattr(torch._C, "_cuda_getCurrentRawStream", None)


def has_one_device() -> bool:
    """Whether only one device is visible: it is then always the current one."""
    return torch.cuda.device_count() == 1
