"""Helion: PyTorch with tiles, compiled to Triton.

    import torch, helion, helion.language as hl

`helion.kernel` makes a function a kernel; `helion.Config` fixes its tuning choices; `helion.exc` is the catalogue of errors.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from . import exc
from .config import Config
from .runtime.kernel import Kernel, kernel
from .settings import Settings

if TYPE_CHECKING:
    from .runtime.bound import BoundKernel

try:
    __version__ = version("helion-core")
except PackageNotFoundError:  # running from a source tree that is not installed
    __version__ = "0.0.0"

jit = kernel

__all__ = ["BoundKernel", "Config", "Kernel", "Settings", "__version__", "exc", "jit", "kernel"]


def __getattr__(name: str) -> Any:
    """`BoundKernel` needs sympy and Triton, which nobody pays for before a kernel is bound."""
    if name == "BoundKernel":
        from .runtime.bound import BoundKernel

        return BoundKernel
    raise AttributeError(f"module 'helion' has no attribute {name!r}")
