"""The GPU as a `Device`."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Sequence
from typing import Any

import torch

from .device import Call, Timed

_CYCLES_PER_US = 1800  # of the highest clock; at a lower one the pause is longer
_WARM_UPS = 2


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
        if pause_us:
            torch.cuda._sleep(int(pause_us * _CYCLES_PER_US))
        for call, (begin, end) in zip(calls, pairs, strict=True):
            begin.record()
            call()
            end.record()
        behind = not pairs[0][0].query()
        self.synchronize()
        return Timed(tuple(begin.elapsed_time(end) * 1e3 for begin, end in pairs), behind)

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
        times = []
        for call in calls:
            self.synchronize()
            begin = time.perf_counter()
            call()
            times.append((time.perf_counter() - begin) * 1e6)
        self.synchronize()
        return statistics.median(times)

    def peak_bytes(self, call: Call) -> int:
        self.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        returned = call()
        self.synchronize()
        del returned
        return torch.cuda.max_memory_allocated() - before
