"""Helion: PyTorch with tiles, compiled to Triton.

    import torch, helion, helion.language as hl

`helion.kernel` makes a function a kernel; `helion.Config` fixes its tuning choices; `helion.exc` is the catalogue of errors.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from . import exc
from .config import Config
from .runtime.bound import BoundKernel
from .runtime.kernel import Kernel, kernel
from .settings import Settings

try:
    __version__ = version("helion-core")
except PackageNotFoundError:  # running from a source tree that is not installed
    __version__ = "0.0.0"

jit = kernel

__all__ = ["BoundKernel", "Config", "Kernel", "Settings", "__version__", "exc", "jit", "kernel"]
