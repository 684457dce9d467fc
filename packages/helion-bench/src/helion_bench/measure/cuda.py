"""The GPU as a `Device`."""

from __future__ import annotations

import contextlib
import itertools
import statistics
import time
from collections.abc import Sequence
from typing import Any

import torch

from .device import Call, Timed

_CYCLES_PER_US = 1800  # of the highest clock; at a lower one the pause is longer
_WARM_UPS = 2
_QUEUE = 4  # calls one after the other whose host time is taken; the GPU is idle before each such group
_GROUPS = (2, 16)
_HOST_SECONDS = 4e-3  # for all groups, unless the least number of them takes longer


class CudaDevice:
    """The first GPU. Everything runs on a stream that is not the default one, so that it can be captured."""

    def __init__(self) -> None:
        self.torch_device = torch.device("cuda", 0)
        properties = torch.cuda.get_device_properties(self.torch_device)
        self.l2_bytes = int(getattr(properties, "L2_cache_size", 64 << 20))
        self.uuid = str(getattr(properties, "uuid", ""))
        self._stream = torch.cuda.Stream(self.torch_device)

    def active(self) -> contextlib.AbstractContextManager[Any]:
        return torch.cuda.stream(self._stream)

    def synchronize(self) -> None:
        torch.cuda.synchronize(self.torch_device)

    def alive(self) -> bool:
        try:
            torch.zeros(1, device=self.torch_device).item()
        except Exception:
            return False
        return True

    def timed(self, calls: Sequence[Call], pause_us: float) -> Timed:
        pairs = [[torch.cuda.Event(enable_timing=True) for _ in range(2)] for _ in calls]
        waited = []
        if pause_us:
            torch.cuda._sleep(int(pause_us * _CYCLES_PER_US))
        queueing = time.perf_counter()
        for call, (begin, end) in zip(calls, pairs, strict=True):
            begin.record()
            call()
            waited.append(begin.query())
            end.record()
        host_us = (time.perf_counter() - queueing) * 1e6 / len(calls)
        self.synchronize()
        return Timed(tuple(begin.elapsed_time(end) * 1e3 for begin, end in pairs), tuple(waited), host_us)

    def captured(self, calls: Sequence[Call]) -> Call:
        for _ in range(_WARM_UPS):
            calls[0]()
        self.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self._stream):
            for call in calls:
                call()
        return graph.replay

    def host_us(self, calls: Sequence[Call]) -> float:
        turn, times = itertools.cycle(calls), []
        until = time.perf_counter() + _HOST_SECONDS
        for group in range(_GROUPS[1] + 1):
            if group > _GROUPS[0] and time.perf_counter() > until:
                break
            self.synchronize()
            found = [_host_seconds(call) for call in itertools.islice(turn, _QUEUE)]
            times += found if group else []  # the first finds nothing in the caches of the host
        self.synchronize()
        return statistics.median(times) * 1e6

    def peak_bytes(self, call: Call) -> int:
        self.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        returned = call()
        self.synchronize()
        del returned
        return torch.cuda.max_memory_allocated() - before


def _host_seconds(call: Call) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin
