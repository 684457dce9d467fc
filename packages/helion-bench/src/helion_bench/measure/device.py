"""`Device`: what measuring asks of a GPU."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch

Call = Callable[[], Any]


@dataclass(frozen=True)
class Timed:
    """Times of calls in microseconds, and the time that the host took to queue one of them, on average.

    `waited`: for each call, whether the GPU came to it before the host had queued all of it. Then the GPU may have
    waited for the host within it, and its time is not the GPU's alone.
    """

    times: tuple[float, ...]
    waited: tuple[bool, ...]
    host_us: float


class Device(Protocol):
    """Where calls run. Of the methods that measure, a device that has no clock of its own need not have any."""

    torch_device: torch.device
    l2_bytes: int
    """Size of the second level cache; inputs are copied until they no longer fit."""
    uuid: str
    """By which the driver knows it."""

    def active(self) -> contextlib.AbstractContextManager[Any]:
        """Surrounds all use of the device."""
        ...

    def synchronize(self) -> None:
        """Wait for everything queued."""
        ...

    def alive(self) -> bool:
        """Whether it still answers: errors such as illegal accesses stay until the process ends."""
        ...

    def timed(self, calls: Sequence[Call], pause_us: float) -> Timed:
        """Queue a pause and then `calls`, each between two events, and wait for all: their times, in order."""
        ...

    def captured(self, calls: Sequence[Call]) -> Call:
        """One call that replays `calls` as a CUDA graph. Raises what capturing raises."""
        ...

    def host_us(self, calls: Sequence[Call]) -> float:
        """Time that the host needs for one call in steady state: the median of many, behind a short queue at most."""
        ...

    def peak_bytes(self, call: Call) -> int:
        """Memory that a call needs on top of what is allocated before it, its results included."""
        ...
