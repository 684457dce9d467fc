"""Timing launches on a GPU by events.

Launches are queued behind a pause, so that the host's own time never shows, and behind a write of more than the second
level cache where the arguments would otherwise stay in it from one launch to the next. Times are in milliseconds.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

import torch

TARGET_MS = 15.0  # device time that one candidate of the search gets
MIN_SAMPLES, MAX_SAMPLES = 5, 50
CUT_RATIO, CUT_MS = 2.0, 0.02  # slower than the best by both: a few runs were enough
CUT_SAMPLES = 2  # more, before a candidate is given up: one run alone may have met another's work, or low clocks
PLAY_OFF_MS = 1500.0  # device time of all finalists together
WARM_UP_MS = 150.0  # after which clocks have settled
_PAUSE_CYCLES_PER_MS = 1_500_000
_HOST_MS = 0.03  # time that the host needs to queue one timed launch, at most

Launch = Callable[[], None]


class Clock:
    """Times launches on one device. `footprint`: bytes that a launch can touch."""

    def __init__(self, device: torch.device, footprint: int) -> None:
        properties = torch.cuda.get_device_properties(device)
        cache = getattr(properties, "L2_cache_size", 64 << 20)
        self._flush: torch.Tensor | None = None
        if footprint < 3 * cache:
            self._flush = torch.empty(2 * cache, dtype=torch.uint8, device=device)

    def samples(self, launch: Launch, count: int, expected_ms: float) -> list[float]:
        """`count` times of `launch`, back to back."""
        pairs = [[torch.cuda.Event(enable_timing=True) for _ in range(2)] for _ in range(count)]
        backlog = count * max(0.0, _HOST_MS - expected_ms) + 0.1
        torch.cuda._sleep(int(min(backlog, 10.0) * _PAUSE_CYCLES_PER_MS))
        for begin, end in pairs:
            if self._flush is not None:
                self._flush.zero_()
            begin.record()
            launch()
            end.record()
        torch.cuda.synchronize()
        return [begin.elapsed_time(end) for begin, end in pairs]

    def measure(self, launch: Launch, best_ms: float | None) -> tuple[float, bool]:
        """Median time, and whether it was cut after few runs for being far from `best_ms`. `launch` ran once before."""
        (once,) = self.samples(launch, 1, 0.0)
        if _hopeless(once, best_ms):
            if once < TARGET_MS:  # a long run meets as much of anything else as three of them
                once = min(once, *self.samples(launch, CUT_SAMPLES, once))
            if _hopeless(once, best_ms):
                return once, True
        count = min(MAX_SAMPLES, max(MIN_SAMPLES, int(TARGET_MS / max(once, 1e-4))))
        return statistics.median(self.samples(launch, count, once)), False

    def interleave(self, launches: Sequence[Launch]) -> list[float]:
        """Median times of several launches, measured in turns under the same clocks."""
        expected = [self.measure(launch, None)[0] for launch in launches]
        self._warm_up(launches, sum(expected))
        rounds = min(60, max(5, int(PLAY_OFF_MS / (3 * max(sum(expected), 1e-3)))))
        found: list[list[float]] = [[] for _ in launches]
        for turn in range(rounds):
            order = range(len(launches)) if turn % 2 == 0 else reversed(range(len(launches)))
            for k in order:  # the first launch after another config pays for what that one left behind
                found[k] += self.samples(launches[k], 4, expected[k])[1:]
        return [statistics.median(times) for times in found]

    def _warm_up(self, launches: Sequence[Launch], once_ms: float) -> None:
        for _ in range(min(1000, max(1, int(WARM_UP_MS / max(once_ms, 1e-3))))):
            for launch in launches:
                launch()
        torch.cuda.synchronize()


def _hopeless(ms: float, best_ms: float | None) -> bool:
    return best_ms is not None and ms > CUT_RATIO * best_ms and ms > best_ms + CUT_MS
