"""Functions by import path, ``package.module:function``: how a job is named to a clean process."""

from __future__ import annotations

import importlib
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from helion_autotune.errors import NotImportable

if TYPE_CHECKING:
    from collections.abc import Callable


def import_path(function: Callable[..., Any] | str) -> str:
    """The import path of a function. A text is taken for one already.

    Raises NotImportable for what a clean process cannot import: lambdas, nested functions, anything in ``__main__``.
    """
    if isinstance(function, str):
        if function.count(":") != 1:
            raise NotImportable(f"{function!r} is not of the form 'package.module:function'")
        return function
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    if not module or not name or module == "__main__" or "<" in name:
        raise NotImportable(
            f"{function!r} cannot be imported by a clean worker process, which never runs your script; "
            "move it to the top level of a module"
        )
    return f"{module}:{name}"


@lru_cache(maxsize=256)
def resolve(path: str) -> Callable[..., Any]:
    """The function at an import path; raises ImportError or AttributeError if there is none."""
    module, _, name = path.partition(":")
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found


def call_path(path: str, *arguments: Any) -> Any:
    """Call the function at an import path. Being importable itself, this is what executors are given to run."""
    return resolve(path)(*arguments)


def timed_call(path: str, *arguments: Any) -> dict[str, Any]:
    """Like :func:`call_path`, as ``{"output": …, "seconds": …}`` with the wall clock of the call."""
    start = time.perf_counter()
    output = resolve(path)(*arguments)
    return {"output": output, "seconds": time.perf_counter() - start}
