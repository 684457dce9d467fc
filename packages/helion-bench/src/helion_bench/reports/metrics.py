"""What can be shown of a cell of ours, by the name it has on the command line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from helion_bench.reports import figures
from helion_bench.reports.table import EMPTY, Text, Tone
from helion_bench.results import derived
from helion_bench.results.model import Cell, Run, Status
from helion_bench.results.speedup import Outcome, Speedup, outcome
from helion_bench.statistics.interval import Interval


@dataclass(frozen=True)
class Metric:
    """A column: `show` gives its text for a cell of a run."""

    name: str
    header: str
    help: str
    show: Callable[[Cell, Run], Text]


_TONES: dict[Outcome, Tone] = {"win": Tone.GOOD, "tie": Tone.PLAIN, "loss": Tone.BAD}


def show_status(cell: Cell) -> Text:
    """The status of a cell that has nothing else to show."""
    if cell.status is Status.OK:
        return Text("ok", Tone.GOOD)
    quiet = cell.status in (Status.SKIPPED, Status.MISSING)
    return EMPTY if quiet else Text(cell.status.value, Tone.BAD)


def marked(text: str, host_bound: bool) -> str:
    """With a star where a time is not the GPU's alone; `tables.headlines` explains it."""
    return f"{text}*" if host_bound else text


def _latency(cell: Cell, run: Run) -> Text:
    interval = derived.latency_us(cell)
    if cell.status is not Status.OK:
        return show_status(cell)
    if interval is None:
        return EMPTY
    return Text(marked(figures.microseconds(interval.value), derived.host_bound(cell)), Tone.STRONG)


def _optional(value: float | None, show: Callable[[float], str]) -> Text:
    return EMPTY if value is None else Text(show(value))


def show_accuracy(cell: Cell) -> Text:
    """The worst error, and whether it was within the tolerance."""
    found = cell.accuracy
    if found is None:
        return EMPTY
    largest = "not finite" if found.max_abs is None else figures.error(found.max_abs)
    return Text(f"✓ {largest}") if found.ok else Text(f"✗ {largest}", Tone.BAD)


METRICS = {
    metric.name: metric
    for metric in (
        Metric("latency", "µs", "median time of one call", _latency),
        Metric("speedup", "", "time of each peer over ours, and of the best", lambda cell, run: EMPTY),
        Metric(
            "tflops",
            "TFLOP/s",
            "floating-point operations per time",
            lambda cell, run: _optional(derived.tflops(cell), figures.number),
        ),
        Metric("gbps", "GB/s", "bytes per time", lambda cell, run: _optional(derived.gbps(cell), figures.number)),
        Metric(
            "peak_share",
            "of peak",
            "least time the roofline allows over the time taken",
            lambda cell, run: _optional(derived.peak_share(cell, run.machine.peaks), figures.percent),
        ),
        Metric("accuracy", "max error", "worst deviation from float64", lambda cell, run: show_accuracy(cell)),
        Metric(
            "compile_time",
            "compile s",
            "seconds of the first call",
            lambda cell, run: _optional(cell.compile_seconds, figures.number),
        ),
        Metric(
            "host_overhead",
            "host µs",
            "time of one call on the host, in steady state",
            lambda cell, run: _optional(cell.host_overhead_us, figures.number),
        ),
        Metric(
            "memory",
            "memory",
            "peak above the inputs",
            lambda cell, run: EMPTY if cell.peak_memory_bytes is None else Text(figures.size(cell.peak_memory_bytes)),
        ),
        Metric(
            "spent",
            "bench s",
            "seconds that this took to measure",
            lambda cell, run: _optional(sum(s for _, s in cell.spent) if cell.spent else None, figures.number),
        ),
    )
}
DEFAULT = ("latency", "speedup", "tflops", "gbps", "peak_share", "accuracy")


def show_factor(speedup: Interval, host_bound: bool) -> Text:
    """A factor, in the tone of a win, a tie or a loss."""
    return Text(marked(figures.factor(speedup.value), host_bound), _TONES[outcome(speedup)])


def show_speedup(speedup: Speedup | None, peer: str, cell: Cell | None) -> Text:
    """How many times as fast ours is as `peer`; the status where the peer has no right time."""
    if speedup is not None and peer in speedup.against:
        return show_factor(speedup.against[peer], peer in speedup.host_bound)
    return EMPTY if cell is None or cell.status is Status.OK else show_status(cell)
