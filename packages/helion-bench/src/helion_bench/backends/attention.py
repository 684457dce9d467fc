"""Attention of the vendors, through torch."""

from __future__ import annotations

import contextlib
import inspect
from typing import Any, ClassVar

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from ..cases.operation import Operation
from ..results.model import CaseKey
from .backend import Backend, Implementation


class _Sdpa(Backend):
    """torch's attention, held to one of its kernels, which refuses what it cannot do."""

    kernel: ClassVar[SDPBackend]
    compiles = False

    def version(self) -> str:
        return str(torch.__version__)

    def declines(self, case: CaseKey) -> str | None:
        return None if case.op == "attention" else f"{self.name} computes attention only"

    def implement(self, case: CaseKey, operation: Operation) -> Implementation:
        return operation.eager

    def active(self) -> contextlib.AbstractContextManager[Any]:
        return sdpa_kernel([self.kernel])


class CudnnAttention(_Sdpa):
    """Attention of cuDNN."""

    name = "cudnn"
    description = "cuDNN's attention, through torch"
    kernel = SDPBackend.CUDNN_ATTENTION

    def version(self) -> str:
        number = torch.backends.cudnn.version() if torch.backends.cudnn.is_available() else None
        return str(number or "")


class FlashAttention(_Sdpa):
    """FlashAttention-2 as torch ships it, also for sequences of unequal length."""

    name = "flash"
    description = "FlashAttention as torch ships it"
    kernel = SDPBackend.FLASH_ATTENTION

    def declines(self, case: CaseKey) -> str | None:
        return None if case.op == "attention_varlen" else super().declines(case)

    def implement(self, case: CaseKey, operation: Operation) -> Implementation:
        return varlen if case.op == "attention_varlen" else operation.eager


def varlen(**inputs: Any) -> Any:
    """torch's FlashAttention over packed sequences."""
    from torch.nn.attention.varlen import varlen_attn

    q, k, v, offsets, longest = (inputs[name] for name in ("q", "k", "v", "offsets", "longest"))
    takes = inspect.signature(varlen_attn).parameters
    options: dict[str, Any] = {"window_size": (-1, 0)} if "window_size" in takes else {"is_causal": True}
    if "enable_gqa" in takes:  # before, torch passed fewer heads of keys on to the kernel, which always took them
        options["enable_gqa"] = q.size(1) != k.size(1)
    return varlen_attn(q, k, v, offsets, offsets, longest, longest, **options)
