"""Matrix products that torch hands to a library by functions of their own."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from .backend import Implementation, Table


def _scaled_mm(**inputs: Any) -> Any:
    scales = inputs["scale_x"], inputs["scale_weight"]
    return torch._scaled_mm(inputs["x"], inputs["weight"], *scales, out_dtype=torch.bfloat16, use_fast_accum=True)


def _grouped_mm(**inputs: Any) -> Any:
    return torch._grouped_mm(inputs["x"], inputs["weight"], inputs["offsets"])


class CublasLt(Table):
    """cuBLASLt's product of float8 matrices (plain products by cuBLAS are the eager backend's)."""

    name = "cublas"
    description = "cuBLASLt's float8 product, torch._scaled_mm (other products by cuBLAS are in eager)"
    functions: ClassVar[dict[str, Implementation]] = {"scaled_mm": _scaled_mm}
    compiles = False

    def version(self) -> str:
        return torch.version.cuda or ""


class Cutlass(Table):
    """CUTLASS's grouped product."""

    name = "cutlass"
    description = "CUTLASS's grouped product, torch._grouped_mm"
    functions: ClassVar[dict[str, Implementation]] = {"grouped_mm": _grouped_mm}
    compiles = False

    def version(self) -> str:
        return str(torch.__version__)
