"""torch.compile of what the eager backend runs."""

from __future__ import annotations

from typing import ClassVar

import torch

from ..cases import catalogue
from ..cases.operation import Operation
from ..results.model import CaseKey
from .backend import Backend, Implementation


class Compiled(Backend):
    """torch.compile with its default mode."""

    name = "compile"
    description = "torch.compile, default mode"
    mode: ClassVar[str | None] = None

    def version(self) -> str:
        return str(torch.__version__)

    def declines(self, case: CaseKey) -> str | None:
        reads = catalogue.operation(case.op).reads_on_host
        return f"torch's {case.op} reads offsets on the host, which torch.compile cannot" if reads else None

    def implement(self, case: CaseKey, operation: Operation) -> Implementation:
        from torch._functorch import config as functorch

        functorch.donated_buffer = False  # a backward pass runs many times over what one forward pass saved
        return torch.compile(operation.eager, mode=self.mode, dynamic=False, fullgraph=True)


class CompiledMaxAutotune(Compiled):
    """torch.compile that measures candidates; its own CUDA graphs are off, because measuring makes them for all."""

    name = "compile-max"
    description = "torch.compile, max-autotune (CUDA graphs off: they are the measurement's business)"
    mode = "max-autotune-no-cudagraphs"
    routine = False
    searches = True
