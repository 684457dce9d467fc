"""Samples of one subject: how many calls to a batch, how long a pause ahead of them, and which of them count.

Calls are queued behind a pause that the GPU makes, so that it never waits for the host. Whether it did is seen for each
call by itself: all of it must be queued before the GPU comes to it.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from .device import Call, Device, Timed

BATCH_US = 6000.0  # device time of a batch
HOST_US = 20_000.0  # host time of a batch, at most, unless the least number of calls takes longer
SMALLEST, LARGEST = 4, 40  # calls to a batch, the first of which is not counted
_PAUSE_US = (60.0, 200_000.0)
_TRIES, _LONGER = 3, 1.5
_ENOUGH = 2  # calls that the GPU did not wait in, so that the others of their batch can be left out


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
    queue_us: float = 0.0
    """What queueing a call took the host where that was longer than `host_us`, with something to spare."""
    synchronizes: bool = False
    """Whether no pause is long enough, as in calls that wait for the GPU themselves."""
    _turn: Iterator[Call] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._turn = itertools.cycle(self.calls)

    def next(self, count: int) -> list[Call]:
        """The next `count` calls."""
        return list(itertools.islice(self._turn, count))

    @property
    def batch_size(self) -> int:
        """How many calls fill a batch."""
        return batch_size(self.device_us * self.per_call, max(self.host_us, self.queue_us))


@dataclass(frozen=True)
class Batch:
    """Microseconds a call. `host_bound`: the GPU waited for the host in them, so they are not its times alone."""

    times: list[float]
    host_bound: bool


def batch_size(device_us: float, host_us: float) -> int:
    """How many calls fill a batch, on the device or on the host."""
    fill = min(BATCH_US / max(device_us, 1e-3) + 1, HOST_US / max(host_us, 1e-3))
    return int(min(LARGEST, max(SMALLEST, fill)))


def pause_us(count: int, host_us: float) -> float:
    """A pause in which the host queues `count` calls, with half as much again to spare."""
    low, high = _PAUSE_US
    return min(high, low + 1.5 * count * host_us)


def batch(device: Device, subject: Subject, count: int) -> Batch:
    """Samples of `count` calls; where the GPU waited for the host, again, with as long a pause as the host needed."""
    timed = _queued(device, subject, count)
    for _ in range(0 if subject.synchronizes else _TRIES - 1):
        if not any(timed.waited):
            break
        subject.queue_us = max(subject.queue_us, subject.host_us, timed.host_us) * _LONGER
        timed = _queued(device, subject, count)
    times = [time / subject.per_call for time in timed.times[1:]]  # the first pays for what another left in the caches
    alone = [time for time, waited in zip(times, timed.waited[1:], strict=True) if not waited]
    return Batch(alone, False) if len(alone) >= _ENOUGH else Batch(times, True)


def _queued(device: Device, subject: Subject, count: int) -> Timed:
    pause = 0.0 if subject.synchronizes else pause_us(count, max(subject.host_us, subject.queue_us))
    return device.timed(subject.next(count), pause)


def calibrate(device: Device, subject: Subject) -> None:
    """Measure roughly how long a call takes on the host and on the device, and whether the host can get ahead."""
    with subject.active():
        device.timed(subject.next(2), 0.0)
        subject.host_us = device.host_us(subject.calls)
        found = batch(device, subject, SMALLEST)
    subject.device_us, subject.synchronizes = min(found.times), found.host_bound
    if subject.synchronizes:
        subject.queue_us = 0.0
