"""What a kernel is compiled for: architectures by name, and those of devices."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..lower.target import Target

if TYPE_CHECKING:
    import torch


_CUDA_SHARED = {75: 65536, 80: 166912, 86: 101376, 87: 166912, 89: 101376, 90: 232448, 100: 232448, 103: 232448,
                110: 232448, 120: 101376, 121: 101376}  # fmt: skip
_OLDEST = 70  # LLVM ends the process where Triton asks it for an older GPU
COMMON = ("sm_80", "sm_90", "sm_100", "gfx942")


def parse_target(name: str) -> Target:
    """`sm_90`, `gfx942` and so on. Raises `UnknownTarget`."""
    cuda = re.fullmatch(r"sm_?(\d+)a?", name)
    if cuda and int(cuda[1]) >= _OLDEST:
        capability = int(cuda[1])
        return Target(f"sm_{capability}", "cuda", capability, 32, _CUDA_SHARED.get(capability, 101376))
    if re.fullmatch(r"gfx[0-9a-f]+", name):
        return Target(name, "hip", name, 64 if name.startswith("gfx9") else 32, 65536)
    from .. import exc  # here and below: processes that only compile need no torch

    raise exc.UnknownTarget(target=name)


def device_target(device: torch.device) -> Target | None:
    """The target of a device; None for the CPU, where kernels are interpreted, and for tensors without data.

    Raises `UnsupportedDevice`.
    """
    if device.type in ("cpu", "meta"):
        return None
    import torch

    from .. import exc

    if device.type != "cuda":
        raise exc.UnsupportedDevice(device=device)
    if torch.version.hip:
        return parse_target(torch.cuda.get_device_properties(device).gcnArchName.split(":")[0])
    major, minor = torch.cuda.get_device_capability(device)
    return parse_target(f"sm_{major}{minor}")
