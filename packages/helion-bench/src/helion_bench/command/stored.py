"""The commands that only read what is stored: `compare`, `report`, `save`. None of them needs torch."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from rich.markup import escape

from helion_bench.command.exits import FAILED, OK, failed
from helion_bench.command.outputs import named_files, to_standard, write, write_outputs
from helion_bench.reports.markdown import comparison_markdown
from helion_bench.reports.terminal import console, render_comparison, render_run
from helion_bench.results.compare import Comparison, compare
from helion_bench.results.model import Run
from helion_bench.results.store import Store, check_writable


def compare_command(arguments: argparse.Namespace, store: Store) -> int:
    """`helion-bench compare OLD NEW`"""
    for path in named_files(arguments):
        check_writable(path)
    old, new = store.find(arguments.old), store.find(arguments.new)
    comparison = compare(old, new, arguments.min_effect)
    out = console(stderr=to_standard(arguments))
    for renderable in render_comparison(comparison, everything=arguments.all):
        out.print(renderable)
    if arguments.markdown:
        _tell(write(arguments.markdown, comparison_markdown(comparison).encode()))
    return verdict(arguments, new, comparison)


def report_command(arguments: argparse.Namespace, store: Store) -> int:
    """`helion-bench report RUN`"""
    for path in named_files(arguments):
        check_writable(path)
    run = store.find(arguments.run)
    comparison = None
    if arguments.against:
        comparison = compare(store.find(arguments.against, run.machine.gpu), run, arguments.min_effect)
    show(arguments, run, comparison, store)
    return verdict(arguments, run, comparison)


def save_command(arguments: argparse.Namespace, store: Store) -> int:
    """`helion-bench save NAME`"""
    run = store.find(arguments.run)
    path = store.save(run, arguments.name, replace=arguments.replace)
    unfinished = "" if run.complete else " (unfinished)"
    console().print(f"saved run {run.id}{unfinished} as {escape(arguments.name)}: {escape(str(path))}")
    return OK


def show(arguments: argparse.Namespace, run: Run, comparison: Comparison | None, store: Store) -> None:
    """Print a run, and its comparison; write the files asked for."""
    out = console(stderr=to_standard(arguments))
    for renderable in render_run(run, arguments.metrics):
        out.print(renderable)
    if comparison is not None:
        out.print()
        for renderable in render_comparison(comparison):
            out.print(renderable)
    _tell(write_outputs(arguments, run, comparison, store))


def _tell(written: Iterable[str]) -> None:
    for path in written:
        console(stderr=True).print(f"wrote {escape(path)}")


def verdict(arguments: argparse.Namespace, run: Run, comparison: Comparison | None) -> int:
    """The exit status that --fail-on makes of a run, said aloud."""
    found = failed(arguments.fail_on, run, comparison)
    if not found:
        return OK
    console(stderr=True).print(f"[bold red]failed[/] (--fail-on {','.join(arguments.fail_on)}): {'; '.join(found)}")
    return FAILED
