"""What is shown while a run goes on: a bar and the latest result on a terminal, a line a cell elsewhere."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Column

from helion_bench.reports import figures
from helion_bench.results.derived import median_us
from helion_bench.results.model import Cell, Status


@contextlib.contextmanager
def showing(console: Console, total: int, done: int) -> Iterator[Callable[[Cell], None]]:
    """Gives the function to be told of each cell; `done` of the `total` cells are there already."""
    if not console.is_terminal:
        yield _lines(console, total, done)
        return
    with _bar(console) as bar:
        task = bar.add_task("starting", total=total, completed=done)

        def tell(cell: Cell) -> None:
            bar.update(task, advance=1, description=escape(told(cell)))
            if cell.status in (Status.WRONG, Status.ERROR, Status.TIMEOUT):
                bar.console.print(f"[bold red]{cell.status.value}[/] {escape(_named(cell))}: {escape(cell.reason)}")

        yield tell


def _bar(console: Console) -> Progress:
    """How far it is stays whole; the latest result has what is left of the line."""
    whole = Column(no_wrap=True)
    return Progress(
        BarColumn(bar_width=12, table_column=whole), MofNCompleteColumn(table_column=whole),
        TimeElapsedColumn(table_column=whole), TimeRemainingColumn(table_column=whole),
        TextColumn("{task.description}", table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")),
        console=console, transient=True, expand=True,
    )  # fmt: skip


def _lines(console: Console, total: int, done: int) -> Callable[[Cell], None]:
    count = done

    def tell(cell: Cell) -> None:
        nonlocal count
        count += 1
        console.print(f"{count}/{max(count, total)} {told(cell)}", markup=False, soft_wrap=True)

    return tell


def told(cell: Cell) -> str:
    """softmax/8192x8192/bfloat16/fwd helion: 92.1 µs"""
    if cell.status is not Status.OK:
        return f"{_named(cell)}: {cell.status.value}, {' '.join(cell.reason.split())}"
    us = median_us(cell)
    return f"{_named(cell)}: {'ok' if us is None else f'{figures.microseconds(us)} µs'}"


def _named(cell: Cell) -> str:
    return f"{cell.case.id} {cell.backend}"
