"""Reports written to where the command line says."""

from __future__ import annotations

import argparse
import io
import os
import sys
from pathlib import Path

from helion_bench.errors import InvalidRequest
from helion_bench.reports.csv_file import csv_text
from helion_bench.reports.markdown import markdown
from helion_bench.results.codec import encode
from helion_bench.results.compare import Comparison
from helion_bench.results.errors import ResultsError
from helion_bench.results.model import CaseKey, Run
from helion_bench.results.store import Store, write_file

FORMS = ("json", "csv", "markdown", "html")
STANDARD = "-"
"""Instead of a file: standard output."""
_HISTORY = 30  # earlier runs shown


def named_files(arguments: argparse.Namespace) -> list[Path]:
    """The files that the command line names. Raises InvalidRequest where one is named for two reports."""
    named = [path for path in (getattr(arguments, form, None) for form in FORMS) if path]
    for path in named:
        if named.count(path) > 1:
            raise InvalidRequest(f"two reports cannot go to {'standard output' if path == STANDARD else path}")
    return [Path(path) for path in named if path != STANDARD]


def to_standard(arguments: argparse.Namespace) -> bool:
    """Whether a report goes to standard output, which must hold nothing else then."""
    return STANDARD in (getattr(arguments, form, None) for form in FORMS)


def write_outputs(arguments: argparse.Namespace, run: Run, comparison: Comparison | None, store: Store) -> list[str]:
    """Write what was asked for; returns the files."""
    written = []
    if arguments.json:
        written += write(arguments.json, encode(run))
    if arguments.csv:
        written += write(arguments.csv, csv_text(run).encode())
    if arguments.markdown:
        written += write(arguments.markdown, markdown(run, arguments.metrics, comparison).encode())
    if arguments.html:
        from helion_bench.reports.html import html  # matplotlib: not for those who do not ask for it

        written += write(arguments.html, html(run, arguments.metrics, comparison, history_of(run, store)).encode())
    return written


def write(path: str, content: bytes) -> list[str]:
    """Write a report to a file, which is returned, or to standard output, as the same bytes. Raises ResultsError,
    BrokenPipeError.
    """
    if path != STANDARD:
        write_file(Path(path), content)
        return [path]
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        discard_standard()
        raise ResultsError(f"cannot write to standard output: {error.strerror}") from None
    return []


def spare_standard() -> None:
    """Signs that standard output has no code for are shown as `?`, instead of ending the command."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def discard_standard() -> None:
    """Nobody takes what is still to be written to standard output, and its end shall not fail for that."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def history_of(run: Run, store: Store) -> list[Run]:
    """Complete runs of the same GPU and of nearly the same cases up to this one, oldest first, this one last."""
    cases = set(run.cases)
    past = [s.run for s in store.runs() if s.run and s.run.complete and s.run.machine.gpu == run.machine.gpu]
    alike = [r for r in past if r.id != run.id and r.started <= run.started and _covers(r, cases)]
    return [*alike[-_HISTORY:], run]


def _covers(run: Run, cases: set[CaseKey]) -> bool:
    """History is drawn over what all runs have: one of other cases would leave nothing."""
    return len(cases & set(run.cases)) >= 0.8 * len(cases)
