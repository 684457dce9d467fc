"""Helion: PyTorch with tiles, compiled to Triton.

    import torch, helion, helion.language as hl

`helion.kernel` makes a function a kernel; `helion.Config` fixes its tuning choices; `helion.exc` is the catalogue of
errors.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import exc as exc
    from .config import Config as Config
    from .runtime.bound import BoundKernel as BoundKernel
    from .runtime.kernel import Kernel as Kernel
    from .runtime.kernel import kernel as kernel
    from .settings import Settings as Settings

    jit = kernel
    __version__: str

_HOMES = {
    "BoundKernel": ("runtime.bound", "BoundKernel"),
    "Config": ("config", "Config"),
    "Kernel": ("runtime.kernel", "Kernel"),
    "Settings": ("settings", "Settings"),
    "jit": ("runtime.kernel", "kernel"),
    "kernel": ("runtime.kernel", "kernel"),
}

__all__ = ["BoundKernel", "Config", "Kernel", "Settings", "__version__", "exc", "jit", "kernel"]


def __getattr__(name: str) -> Any:
    """Names are imported when first used: worker processes of the tuner need Triton, but neither torch nor sympy."""
    if name == "__version__":
        value: Any = importlib.import_module(".version", __name__).version()
    elif name == "exc":
        value = importlib.import_module(".exc", __name__)
    elif name in _HOMES:
        module, attribute = _HOMES[name]
        value = getattr(importlib.import_module(f".{module}", __name__), attribute)
    else:
        raise AttributeError(f"module 'helion' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
