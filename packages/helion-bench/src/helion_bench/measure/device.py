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
    """Times of calls in microseconds. `behind`: whether the host was done queueing before the first of them began."""

    times: tuple[float, ...]
    behind: bool


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
        """Time that the host needs for one call, the device being idle before it."""
        ...

    def peak_bytes(self, call: Call) -> int:
        """Memory that a call needs on top of what is allocated before it, its results included."""
        ...
