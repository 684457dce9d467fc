"""Liger-Kernel, where it is installed (https://github.com/linkedin/Liger-Kernel)."""

from __future__ import annotations

import importlib
import importlib.util
from importlib import metadata
from typing import Any, ClassVar

from ..results.model import CaseKey
from .backend import Implementation, Table

_EPS = 1e-5
_EARLY = "liger computes the gradients in its forward pass, so its backward pass alone compares with nothing"
_OVERWRITES = "liger's backward pass writes the gradients over its inputs, so it cannot be repeated"
NOT_MEASURED = {"cross_entropy": _EARLY, "swiglu": _OVERWRITES, "geglu": _OVERWRITES}
"""Operations whose backward pass cannot be measured beside those of others, and why."""


def _functional() -> Any:
    return importlib.import_module("liger_kernel.transformers.functional")


def _softmax(**inputs: Any) -> Any:
    return importlib.import_module("liger_kernel.ops.softmax").LigerSoftmaxFunction.apply(inputs["x"])


def _layer_norm(**inputs: Any) -> Any:
    return _functional().liger_layer_norm(inputs["x"], inputs["weight"], inputs["bias"], _EPS)


def _rms_norm(**inputs: Any) -> Any:
    return _functional().liger_rms_norm(inputs["x"], inputs["weight"], _EPS, in_place=False)


def _cross_entropy(**inputs: Any) -> Any:
    return _functional().liger_cross_entropy(inputs["x"], inputs["target"])


def _linear_cross_entropy(**inputs: Any) -> Any:
    return _functional().liger_fused_linear_cross_entropy(inputs["x"], inputs["weight"], inputs["target"])


def _swiglu(**inputs: Any) -> Any:
    return _functional().liger_swiglu(inputs["gate"], inputs["up"])


def _geglu(**inputs: Any) -> Any:
    return _functional().liger_geglu(inputs["gate"], inputs["up"])


class Liger(Table):
    """The kernels of Liger-Kernel."""

    name = "liger"
    description = "Liger-Kernel"
    functions: ClassVar[dict[str, Implementation]] = {
        "softmax": _softmax,
        "layer_norm": _layer_norm,
        "rms_norm": _rms_norm,
        "cross_entropy": _cross_entropy,
        "linear_cross_entropy": _linear_cross_entropy,
        "swiglu": _swiglu,
        "geglu": _geglu,
    }

    def version(self) -> str:
        return metadata.version("liger-kernel") if self.why_not() is None else ""

    def why_not(self) -> str | None:
        found = importlib.util.find_spec("liger_kernel")
        return None if found is not None else "not installed (pip install liger-kernel)"

    def declines(self, case: CaseKey) -> str | None:
        if case.pass_ == "bwd" and case.op in NOT_MEASURED:
            return NOT_MEASURED[case.op]
        return super().declines(case)
