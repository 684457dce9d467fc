"""Settings of the package. The only module that reads environment variables."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from helion import exc

_CHOICES = ("torch", "interpret")


def _checked(value: str, shown: str) -> str:
    if value not in _CHOICES:
        raise exc.InvalidSetting(
            key="cpu", problem=f"{shown} is not allowed", allowed=f"allowed: {', '.join(_CHOICES)}"
        )
    return value


def _from_environment() -> str:
    value = os.environ.get("HELION_KERNELS_CPU", "torch")
    return _checked(value, f"HELION_KERNELS_CPU={value!r}")


cpu: str = _from_environment()
"""What computes CPU tensors: `torch`, or `interpret`, our kernels in Triton's interpreter (slow; for tests)."""


@contextlib.contextmanager
def override(cpu: str) -> Iterator[None]:
    """Has CPU tensors computed by `cpu` (see above) for the duration. Raises `InvalidSetting`."""
    before = globals()["cpu"]
    globals()["cpu"] = _checked(cpu, repr(cpu))
    try:
        yield
    finally:
        globals()["cpu"] = before
