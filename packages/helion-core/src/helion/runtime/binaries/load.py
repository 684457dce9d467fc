"""Generated text to a jitted kernel, without touching the disk."""

from __future__ import annotations

import hashlib
import linecache
from typing import Any

from ...locks import LANGUAGE


def load_kernel(text: str, name: str) -> Any:
    """Executes module text; returns its jitted function `name`. Tracebacks and Triton find the text by `linecache`."""
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    filename = f"<helion {name} {digest}>"
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    namespace: dict[str, Any] = {"__name__": f"helion_generated_{digest}", "__file__": filename}
    with LANGUAGE.together():
        exec(compile(text, filename, "exec"), namespace)
    return namespace[name]
