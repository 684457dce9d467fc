"""An architecture, with the limits that plans and messages need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Target:
    """An architecture. `shared_memory`: bytes one program may use; `registers`: 32-bit registers one thread may use."""

    name: str
    backend: str
    arch: int | str
    warp_size: int
    shared_memory: int
    registers: int = 255

    def triton(self) -> Any:
        """Triton's own name for it."""
        from triton.backends.compiler import GPUTarget

        return GPUTarget(self.backend, self.arch, self.warp_size)
