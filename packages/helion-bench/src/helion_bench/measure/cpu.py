"""No GPU: kernels run in Triton's interpreter, which says whether they are right, and nothing of how fast they are."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import NoReturn

import torch

from .device import Call, Timed


class CpuDevice:
    """CPU tensors. It has no clock: what it could measure is the interpreter."""

    torch_device = torch.device("cpu")
    l2_bytes = 0
    uuid = ""

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        from helion_kernels import settings

        with settings.override(cpu="interpret"):
            yield

    def synchronize(self) -> None:
        """Nothing is ever queued."""

    def alive(self) -> bool:
        return True

    def timed(self, calls: Sequence[Call], pause_us: float) -> Timed:
        return self._refuse()

    def captured(self, calls: Sequence[Call]) -> Call:
        return self._refuse()

    def host_us(self, calls: Sequence[Call]) -> float:
        return self._refuse()

    def peak_bytes(self, call: Call) -> int:
        return self._refuse()

    def _refuse(self) -> NoReturn:
        raise RuntimeError("there is no GPU to measure")
