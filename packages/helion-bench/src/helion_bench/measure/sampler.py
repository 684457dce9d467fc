"""Samples of one subject: how many calls to a batch, how long a pause ahead of them."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from .device import Call, Device

BATCH_US = 6000.0  # device time of a batch
SMALLEST, LARGEST = 4, 40  # calls to a batch, the first of which is not counted
_PAUSE_US = (60.0, 20000.0)
_TRIES, _LONGER = 3, 4.0


@dataclass
class Subject:
    """What is timed: calls that differ in nothing but the copy of the inputs they work on, taken in turn.

    `per_call`: how many calls one of `calls` stands for; 1 unless they are CUDA graphs. `active` surrounds every use.
    """

    name: str
    calls: Sequence[Call]
    per_call: int = 1
    active: Callable[[], contextlib.AbstractContextManager[Any]] = contextlib.nullcontext
    host_us: float = 30.0
    device_us: float = 0.0
    starved: int = 0
    """Batches in which the GPU waited for the host in spite of the pause; their samples count, and are too long."""
    _turn: Iterator[Call] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._turn = itertools.cycle(self.calls)

    def next(self, count: int) -> list[Call]:
        """The next `count` calls."""
        return list(itertools.islice(self._turn, count))


def batch_size(device_us: float) -> int:
    """How many calls fill a batch."""
    return min(LARGEST, max(SMALLEST, int(BATCH_US / max(device_us, 1e-3)) + 1))


def pause_us(count: int, host_us: float) -> float:
    """A pause in which the host queues `count` calls, with half as much again to spare."""
    low, high = _PAUSE_US
    return min(high, low + 1.5 * count * host_us)


def batch(device: Device, subject: Subject, count: int) -> list[float]:
    """`count` samples in microseconds a call. Where the GPU caught up with the host, again with a longer pause."""
    pause = pause_us(count, subject.host_us)
    for _ in range(_TRIES):
        timed = device.timed(subject.next(count), pause)
        if timed.behind:
            break
        pause = min(_PAUSE_US[1], _LONGER * pause)
    else:
        subject.starved += 1
    return [time / subject.per_call for time in timed.times]


def calibrate(device: Device, subject: Subject) -> None:
    """Measure roughly how long a call takes on the host and on the device."""
    with subject.active():
        device.timed(subject.next(2), 0.0)
        subject.host_us = device.host_us(subject.next(8))
        subject.device_us = min(batch(device, subject, SMALLEST))
