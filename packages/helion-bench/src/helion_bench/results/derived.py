"""Figures that follow from a cell: median latency, rates, the share of the machine's ceiling."""

from __future__ import annotations

import statistics

from helion_bench.results.model import Cell, Latency, Peaks, Status
from helion_bench.statistics.interval import Interval, median_interval


def round_medians(latency: Latency) -> list[float]:
    """One value a round, microseconds: samples of one round are alike, so the round counts as one observation."""
    return [statistics.median(group) for group in latency.rounds if group]


def round_quotients(one: Latency, other: Latency) -> list[float]:
    """Time of `one` / time of `other` in each round that both have: a round's cells met the same clocks."""
    both = zip(one.rounds, other.rounds, strict=False)
    return [statistics.median(a) / statistics.median(b) for a, b in both if a and b]


def timed(cell: Cell | None) -> bool:
    """Whether the cell's times count: it is right, and has any."""
    return cell is not None and cell.status is Status.OK and cell.latency is not None and bool(cell.latency.samples)


def host_bound(cell: Cell | None) -> bool:
    """Whether the cell's times are those of calls in which the GPU waited for the host."""
    return cell is not None and cell.latency is not None and cell.latency.host_bound


def median_us(cell: Cell) -> float | None:
    """The median time of one call in microseconds, also of a wrong result."""
    interval = latency_us(cell)
    return None if interval is None else interval.value


def latency_us(cell: Cell) -> Interval | None:
    """The median over rounds with its interval, microseconds."""
    medians = round_medians(cell.latency) if cell.latency else []
    return median_interval(medians) if medians else None


def tflops(cell: Cell) -> float | None:
    """TFLOP/s at the median."""
    us = median_us(cell)
    return None if us is None or not cell.flops else cell.flops / us / 1e6


def gbps(cell: Cell) -> float | None:
    """GB/s (10^9 bytes) at the median, counting each byte that must move once."""
    us = median_us(cell)
    return None if us is None or not cell.bytes_moved else cell.bytes_moved / us / 1e3


def peak_share(cell: Cell, peaks: Peaks) -> float | None:
    """The least time the roofline allows over the time taken; None where the machine's ceilings are unknown.

    S. Williams, A. Waterman and D. Patterson, Communications of the ACM 52 (2009) 65.
    """
    us = median_us(cell)
    compute = dict(peaks.tflops).get(cell.case.dtype)
    floors = []
    if cell.bytes_moved and peaks.gbps:
        floors.append(cell.bytes_moved / peaks.gbps / 1e3)
    if cell.flops and compute:
        floors.append(cell.flops / compute / 1e6)
    return None if us is None or not floors else max(floors) / us
