"""The backend of kernels written by hand."""

from __future__ import annotations

import importlib
from importlib import metadata
from typing import Any, ClassVar

from ...cases.operation import Operation
from ...results.model import CaseKey
from ..backend import Backend, Implementation

_LARGEST_ROW = 1 << 17  # elements; a whole row is held in registers


class Handwritten(Backend):
    """Plain Triton, written by hand."""

    name = "triton"
    description = "Triton written by hand, sizes by rule (in helion_bench.backends.handwritten)"
    cpu = True
    modules: ClassVar[tuple[str, ...]] = ("softmax", "layer_norm", "rms_norm", "matmul", "attention")
    _rows: ClassVar[frozenset[str]] = frozenset({"softmax", "layer_norm", "rms_norm"})

    def version(self) -> str:
        return metadata.version("triton")

    def declines(self, case: CaseKey) -> str | None:
        if case.op not in self.modules:
            return f"nobody wrote {case.op} by hand"
        if case.pass_ != "fwd":
            return "written by hand are forward passes only"
        sizes = dict(case.sizes)
        if case.op in self._rows and sizes["cols"] > _LARGEST_ROW:
            return f"rows are held in registers, up to {_LARGEST_ROW} elements"
        if case.op == "attention" and (sizes["dim"] & (sizes["dim"] - 1) or sizes["dim"] < 16):
            return "head dimensions are powers of two from 16"
        return None

    def implement(self, case: CaseKey, operation: Operation) -> Implementation:
        module: Any = importlib.import_module(f"{__package__}.{case.op}")
        return module.run
