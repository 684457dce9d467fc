"""Reports written to the files that the command line names."""

from __future__ import annotations

import argparse
from pathlib import Path

from helion_bench.reports.csv_file import csv_text
from helion_bench.reports.markdown import markdown
from helion_bench.results.codec import encode
from helion_bench.results.compare import Comparison
from helion_bench.results.model import CaseKey, Run
from helion_bench.results.store import Store, write_file

_HISTORY = 30  # earlier runs shown


def named_files(arguments: argparse.Namespace) -> list[Path]:
    """The files that the command line names."""
    named = (getattr(arguments, form, None) for form in ("json", "csv", "markdown", "html"))
    return [Path(path) for path in named if path]


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

        written.append(
            _write(arguments.html, html(run, arguments.metrics, comparison, history_of(run, store)).encode())
        )
    return written


def history_of(run: Run, store: Store) -> list[Run]:
    """Complete runs of the same GPU and of nearly the same cases up to this one, oldest first, this one last."""
    cases = set(run.cases)
    past = [s.run for s in store.runs() if s.run and s.run.complete and s.run.machine.gpu == run.machine.gpu]
    alike = [r for r in past if r.id != run.id and r.started <= run.started and _covers(r, cases)]
    return [*alike[-_HISTORY:], run]


def _covers(run: Run, cases: set[CaseKey]) -> bool:
    """History is drawn over what all runs have: one of other cases would leave nothing."""
    return len(cases & set(run.cases)) >= 0.8 * len(cases)


def _write(path: str, content: bytes) -> str:
    write_file(Path(path), content)
    return path
