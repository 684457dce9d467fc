"""Modules that Triton builds with a C compiler before the first launch, built while the kernel itself is compiled.

They are that of its driver, once for an empty cache, and up to Triton 3.6 one for every signature of a kernel. Each is
a good part of a second in which this process only waits. What is built stays in Triton's cache, where Triton finds it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from threading import Thread
from typing import TYPE_CHECKING, Any

from ...locks import Lock

if TYPE_CHECKING:
    from triton.compiler import ASTSource

_lock = Lock()
_building: dict[Any, Thread] = {}


def build(source: ASTSource) -> None:
    """Begins to build what a launch of `source` on an NVIDIA GPU of this machine needs, unless it was begun.

    Where no thread can be started, as when the interpreter exits, Triton builds it when it is needed.
    """
    with _lock, contextlib.suppress(RuntimeError):
        driver = _begin("driver", _driver)
        _begin(tuple(source.signature.values()), lambda: _after(driver, source))


def built() -> None:
    """Waits for all that was begun."""
    with _lock:
        threads = list(_building.values())
    for thread in threads:
        thread.join()


def _begin(key: Any, function: Callable[[], None]) -> Thread:
    """No daemon: a process that exits waits for the compiler, whose files it would remove otherwise."""
    if key not in _building:
        thread = Thread(target=_tried, args=[function], name="helion-build", daemon=False)
        thread.start()
        _building[key] = thread
    return _building[key]


def _tried(function: Callable[[], None]) -> None:
    """Errors are left to Triton, which meets them again, and says what is wrong."""
    with contextlib.suppress(Exception):
        function()


def _driver() -> None:
    from triton.runtime import driver

    getattr(driver.active, "utils", None)


def _after(driver: Thread, source: ASTSource) -> None:
    """A launcher takes types from the driver's module as it is loaded, and keeps what it found."""
    driver.join()
    _launcher(source)


def _launcher(source: ASTSource) -> None:
    from triton.backends.nvidia import driver

    if hasattr(driver, "make_launcher") and driver.PyCUtensorMap is not None:
        driver.CudaLauncher(source, _Metadata(sum(t.startswith("tensordesc") for t in source.signature.values())))


class _Metadata:
    """What a launcher asks of a kernel that is not compiled yet: only descriptors have to do with its module."""

    def __init__(self, descriptors: int) -> None:
        self.tensordesc_meta: list[dict[str, Any]] = [{} for _ in range(descriptors)]

    def __getattr__(self, name: str) -> int:
        return 0
