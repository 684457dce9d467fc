"""Ready-made kernels written in Helion: operations shaped like torch's.

    from helion_kernels import softmax, layer_norm

Each operation is one module, `helion_kernels.<op>`: its kernels, its host function, its `torch.library` operator and a
public function with torch's signature. Modules are imported when one of their names is first used.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .attention import attention as attention
    from .attention_varlen import attention_varlen as attention_varlen
    from .cross_entropy import cross_entropy as cross_entropy
    from .dropout import dropout as dropout
    from .frame.support import FallbackWarning as FallbackWarning
    from .frame.tables import TableWarning as TableWarning
    from .grouped_mm import grouped_mm as grouped_mm
    from .layer_norm import layer_norm as layer_norm
    from .linear import linear as linear
    from .linear_cross_entropy import linear_cross_entropy as linear_cross_entropy
    from .matmul import matmul as matmul
    from .rms_norm import rms_norm as rms_norm
    from .rope import rope as rope
    from .scaled_mm import scaled_mm as scaled_mm
    from .softmax import log_softmax as log_softmax
    from .softmax import softmax as softmax
    from .swiglu import geglu as geglu
    from .swiglu import swiglu as swiglu
    from .tuning import tune as tune

    __version__: str

OPS = {
    "attention": "attention",
    "attention_varlen": "attention_varlen",
    "cross_entropy": "cross_entropy",
    "dropout": "dropout",
    "geglu": "swiglu",
    "grouped_mm": "grouped_mm",
    "layer_norm": "layer_norm",
    "linear_cross_entropy": "linear_cross_entropy",
    "linear": "linear",
    "log_softmax": "softmax",
    "matmul": "matmul",
    "rms_norm": "rms_norm",
    "rope": "rope",
    "scaled_mm": "scaled_mm",
    "softmax": "softmax",
    "swiglu": "swiglu",
}
"""Public functions, and the module of each."""

_OTHERS = {"FallbackWarning": "frame.support", "TableWarning": "frame.tables", "tune": "tuning"}
_MODULES = ("nn", "settings")

__all__ = [*OPS, *_OTHERS, *_MODULES, "OPS", "__version__"]  # pyrefly: ignore[unsupported-dunder-all]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("helion-kernels")
    elif name in _MODULES:
        return importlib.import_module(f".{name}", __name__)
    elif name in OPS or name in _OTHERS:
        value = getattr(importlib.import_module(f".{(OPS | _OTHERS)[name]}", __name__), name)
    else:
        raise AttributeError(f"module 'helion_kernels' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """The import of the module `softmax` binds its name here, where the function of that name belongs."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in OPS and isinstance(value, ModuleType):
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
