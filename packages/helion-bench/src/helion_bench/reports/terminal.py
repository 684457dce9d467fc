"""Tables through rich: colours on a terminal, plain text elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.markup import escape
from rich.table import Table as RichTable
from rich.text import Text as RichText

from helion_bench.reports.changes import changes_table, label, verdict_line
from helion_bench.reports.metrics import DEFAULT
from helion_bench.reports.table import Table, Tone
from helion_bench.reports.tables import headlines, op_tables, problem_table, summary_table
from helion_bench.results.compare import Comparison
from helion_bench.results.model import Run

STYLES = {Tone.PLAIN: "", Tone.GOOD: "green", Tone.BAD: "bold red", Tone.DIM: "dim", Tone.STRONG: "bold"}
PLAIN_WIDTH = 200
"""Columns of output that is no terminal: wide, since nothing wraps there."""


def console(*, stderr: bool = False) -> Console:
    """A console that is as wide as the terminal, or `PLAIN_WIDTH` where there is none."""
    made = Console(stderr=stderr, highlight=False)
    return made if made.is_terminal else Console(stderr=stderr, highlight=False, width=PLAIN_WIDTH)


def render(table: Table) -> RenderableType:
    """One table under its title."""
    grid = RichTable(box=box.SIMPLE_HEAD, padding=(0, 0), pad_edge=False, show_edge=False, header_style="bold")
    for i, header in enumerate(table.headers):
        text = RichText(header.replace(" ", "\n") if header != "95 %" else header)
        justify: JustifyMethod = "left" if table.is_text(i) else "right"
        grid.add_column(text, justify=justify, vertical="top", overflow="fold", no_wrap=not table.is_prose(i))
    for row in table.rows:
        grid.add_row(*(RichText(cell.text, style=STYLES[cell.tone]) for cell in row))
    return Group(RichText(table.title, style="bold cyan"), grid, "")


def render_run(run: Run, metrics: Sequence[str] = DEFAULT) -> Iterator[RenderableType]:
    """Everything about a run, the summary last, where a reader looks first."""
    for table in op_tables(run, metrics):
        yield render(table)
    for table in (problem_table(run), summary_table(run)):
        if table is not None:
            yield render(table)
    yield from (RichText(line, style="dim") for line in headlines(run))


def render_comparison(comparison: Comparison, *, everything: bool = False) -> Iterator[RenderableType]:
    """The changes, notes, and the count of verdicts."""
    table = changes_table(comparison, everything=everything)
    if table is not None:
        yield render(table)
    yield from (RichText(note, style="dim") for note in comparison.notes)
    yield f"[bold]{escape(label(comparison))}[/]: {verdict_line(comparison)}"


def plain(renderables: Iterator[RenderableType], width: int = PLAIN_WIDTH) -> str:
    """The same as text without colours."""
    made = Console(width=width, color_system=None, force_terminal=False, highlight=False, legacy_windows=False)
    with made.capture() as captured:
        for renderable in renderables:
            made.print(renderable)
    return "\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n"
