"""Reports written to the files that the command line names."""

from __future__ import annotations

import argparse
from pathlib import Path

from helion_bench.reports.csv_file import csv_text
from helion_bench.reports.markdown import markdown
from helion_bench.results.codec import encode
from helion_bench.results.compare import Comparison
from helion_bench.results.model import Run
from helion_bench.results.store import Store, write_file


def write_outputs(arguments: argparse.Namespace, run: Run, comparison: Comparison | None, store: Store) -> list[str]:
    """Write what was asked for; returns the files."""
    written = []
    if getattr(arguments, "json", None):
        written.append(_write(arguments.json, encode(run)))
    if arguments.csv:
        written.append(_write(arguments.csv, csv_text(run).encode()))
    if arguments.markdown:
        written.append(_write(arguments.markdown, markdown(run, arguments.metrics, comparison).encode()))
    if arguments.html:
        from helion_bench.reports.html import html  # matplotlib: not for those who do not ask for it

        written.append(_write(arguments.html, html(run, arguments.metrics, comparison, _history(run, store)).encode()))
    return written


def _history(run: Run, store: Store) -> list[Run]:
    """Complete runs of the same GPU up to this one, oldest first, this one last."""
    past = [s.run for s in store.runs() if s.run and s.run.complete and s.run.machine.gpu == run.machine.gpu]
    return [*(r for r in past if r.started <= run.started and r.id != run.id), run]


def _write(path: str, content: bytes) -> str:
    write_file(Path(path), content)
    return path
