"""Rounds: in each, every subject is measured in turn, so that all meet the same clocks and temperature."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .device import Device
from .sampler import Batch, Subject, batch
from .throttle import State, throttled

LEAST = 8  # rounds, whatever the time limit: fewer decide nothing
WARM_UP_US = 150_000.0  # of device time, after which clocks have settled


@dataclass
class Samples:
    """Of one subject: microseconds by round, empty where a round was left out; how many samples that cost.

    `sm_mhz`: the usual clock of the multiprocessors meanwhile, None where nobody tells. `host_bound`: the GPU waited
    for the host in most rounds, so that these are no times of the GPU's; where it did in a few, these are left out.
    """

    rounds: list[list[float]] = field(default_factory=list)
    dropped: int = 0
    sm_mhz: float | None = None
    host_bound: bool = False
    failure: Exception | None = None


@dataclass
class _Taken:
    """What became of one subject so far."""

    batches: list[Batch] = field(default_factory=list)
    failure: Exception | None = None


def interleave(
    device: Device, subjects: Sequence[Subject], rounds: int, seconds: float,
    state: Callable[[], State], clock: Callable[[], float] = time.monotonic,
    before: Callable[[Subject], None] = lambda subject: None,
) -> list[Samples]:  # fmt: skip
    """Samples of `subjects`, in order. After `seconds` no round begins once there are `LEAST` of them.

    `state` asks the driver; `before` is told of every batch. A subject that raises is left out from then on.
    """
    found = [_Taken() for _ in subjects]
    _warm_up(device, subjects, found, before)
    end = clock() + seconds
    states = [state()]
    for turn in range(rounds):
        for k in order(len(subjects), turn):
            _measure(device, subjects[k], found[k], before)
        states.append(state())
        if turn + 1 >= LEAST and clock() >= end:
            break
    left_out, clocks = throttled(states), [s.sm_mhz for s in states if s.sm_mhz]
    usual = statistics.median(clocks) if clocks else None
    return [_samples(taken, left_out, usual) for taken in found]


def order(count: int, turn: int) -> list[int]:
    """Who comes when: every other round goes the way back, and each pair of rounds begins with another subject."""
    forward = [(turn // 2 + k) % count for k in range(count)]
    return forward if turn % 2 == 0 else forward[::-1]


def _measure(device: Device, subject: Subject, taken: _Taken, before: Callable[[Subject], None]) -> None:
    if taken.failure is not None:
        return
    try:
        before(subject)
        with subject.active():
            found = batch(device, subject, subject.batch_size)
    except Exception as error:  # whatever it raises costs this subject only
        taken.failure = error
        return
    taken.batches.append(found)


def _warm_up(
    device: Device, subjects: Sequence[Subject], found: Sequence[_Taken], before: Callable[[Subject], None]
) -> None:
    turn = sum(s.device_us * s.per_call * s.batch_size for s in subjects)
    for _ in range(min(100, max(1, round(WARM_UP_US / max(turn, 1.0))))):
        for subject, taken in zip(subjects, found, strict=True):
            _measure(device, subject, taken, before)
    for taken in found:
        taken.batches.clear()


def _samples(taken: _Taken, throttled: set[int], sm_mhz: float | None) -> Samples:
    kept = [[] if k in throttled else batch.times for k, batch in enumerate(taken.batches)]
    lost = sum(len(batch.times) for k, batch in enumerate(taken.batches) if k in throttled)
    bound = {k for k, batch in enumerate(taken.batches) if batch.host_bound and kept[k]}
    host_bound = 2 * len(bound) > sum(map(bool, kept))
    if not host_bound:
        kept = [[] if k in bound else times for k, times in enumerate(kept)]
    return Samples(kept, lost, sm_mhz, host_bound, taken.failure)
