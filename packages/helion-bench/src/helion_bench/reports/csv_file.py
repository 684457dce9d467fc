"""CSV with one line a cell and every figure, for spreadsheets and data frames."""

from __future__ import annotations

import csv
import io

from helion_bench.results import derived
from helion_bench.results.model import Cell, Role, Run
from helion_bench.results.speedup import speedups

COLUMNS = (
    "op",
    "shape",
    "dtype",
    "pass",
    "backend",
    "status",
    "reason",
    "latency_us",
    "latency_low_us",
    "latency_high_us",
    "samples",
    "throttled_dropped",
    "host_bound",
    "tflops",
    "gbps",
    "peak_share",
    "max_abs_error",
    "max_rel_error",
    "accurate",
    "compile_seconds",
    "host_overhead_us",
    "peak_memory_bytes",
    "best_peer",
    "speedup_vs_best",
    "config",
)


def csv_text(run: Run) -> str:
    """The whole run. An unknown figure is an empty field."""
    best = {(s.case, s.backend): s for name in run.names(Role.OURS) for s in speedups(run, name)}
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for cell in run.cells:
        found = best.get(cell.key)
        extra = {"best_peer": found.best, "speedup_vs_best": _round(found.best_peer.value)} if found else {}
        writer.writerow(_fields(cell, run) | extra)
    return text.getvalue()


def _fields(cell: Cell, run: Run) -> dict[str, object]:
    interval = derived.latency_us(cell)
    known = interval is not None and interval.known
    accuracy = cell.accuracy
    return {
        "op": cell.case.op,
        "shape": cell.case.shape,
        "dtype": cell.case.dtype,
        "pass": cell.case.pass_,
        "backend": cell.backend,
        "status": cell.status.value,
        "reason": " ".join(cell.reason.split()),
        "latency_us": _round(interval.value if interval else None),
        "latency_low_us": _round(interval.low if interval and known else None),
        "latency_high_us": _round(interval.high if interval and known else None),
        "samples": len(cell.latency.samples) if cell.latency else None,
        "throttled_dropped": cell.latency.throttled_dropped if cell.latency else None,
        "host_bound": cell.latency.host_bound if cell.latency else None,
        "tflops": _round(derived.tflops(cell)),
        "gbps": _round(derived.gbps(cell)),
        "peak_share": _round(derived.peak_share(cell, run.machine.peaks)),
        "max_abs_error": accuracy.max_abs if accuracy else None,
        "max_rel_error": accuracy.max_rel if accuracy else None,
        "accurate": accuracy.ok if accuracy else None,
        "compile_seconds": cell.compile_seconds,
        "host_overhead_us": cell.host_overhead_us,
        "peak_memory_bytes": cell.peak_memory_bytes,
        "config": cell.config,
    }


def _round(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.5g}")
