"""Torch without a compiler; matrix products are cuBLAS's."""

from __future__ import annotations

import torch

from ..cases.operation import Operation
from ..results.model import CaseKey
from .backend import Backend, Implementation


class Eager(Backend):
    """The operation as a user of torch writes it."""

    name = "eager"
    description = "torch as it is written; matrix products by cuBLAS"
    compiles = False
    cpu = True

    def version(self) -> str:
        return str(torch.__version__)

    def declines(self, case: CaseKey) -> str | None:
        return None

    def implement(self, case: CaseKey, operation: Operation) -> Implementation:
        return operation.eager
