"""Libraries that are needed only for what they do."""

from __future__ import annotations

import importlib
from typing import Any

from helion_autotune.errors import MissingDependency


def require(module: str, extra: str) -> Any:
    """Import ``module``; raises MissingDependency, saying how to install it, if it is not there."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingDependency(
            f"this needs {module.partition('.')[0]}, which cannot be imported ({error}); "
            f"install it with: pip install 'helion-autotune[{extra}]'"
        ) from error
