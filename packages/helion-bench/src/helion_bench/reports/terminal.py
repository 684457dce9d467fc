"""Tables through rich: colours on a terminal, plain text elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, JustifyMethod, RenderableType, RenderResult
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
_PROSE_WIDTH = 24
"""Columns that sentences need at least."""


def console(*, stderr: bool = False) -> Console:
    """A console that is as wide as the terminal, or `PLAIN_WIDTH` where there is none."""
    made = Console(stderr=stderr, highlight=False)
    return made if made.is_terminal else Console(stderr=stderr, highlight=False, width=PLAIN_WIDTH)


@dataclass(frozen=True)
class Fitted:
    """A table under its title; where it is wider than the terminal, in parts below each other, so that none is cut.

    Each part begins with the columns that name a row. What does not fit even so is broken into lines.
    """

    table: Table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield RichText(self.table.title, style="bold cyan")
        for columns in self._parts(options.max_width):
            yield self._grid(columns, options.max_width)
            yield ""

    def _parts(self, width: int) -> Iterator[list[int]]:
        """The columns of each part."""
        naming = list(range(self._naming(width)))
        part = list(naming)
        for column in range(len(naming), len(self.table.headers)):
            if len(part) > len(naming) and self._taken([*part, column], width) > width:
                yield part
                part = list(naming)
            part.append(column)
        yield part

    def _naming(self, width: int) -> int:
        """How many columns name a row: the first labels, as long as they leave a third to others."""
        count = 1
        while count < self.table.labels and self._taken(range(count + 1), width) <= 2 * width // 3:
            count += 1
        return count

    def _taken(self, columns: Iterable[int], width: int) -> int:
        """What columns take at least, with a space between each."""
        widths = [_PROSE_WIDTH if self._broken(i, width) else self._widest(i) for i in columns]
        return sum(widths) + len(widths) - 1

    def _broken(self, column: int, width: int) -> bool:
        """Whether a column is broken into lines where there is no room: sentences, and what is too wide by itself."""
        return self._widest(column) > (_PROSE_WIDTH if self.table.is_prose(column) else width // 2)

    def _widest(self, column: int) -> int:
        texts = [*_header(self.table.headers[column]).split("\n"), *(row[column].text for row in self.table.rows)]
        return max(map(cell_len, texts))

    def _grid(self, columns: Sequence[int], width: int) -> RichTable:
        grid = RichTable(box=box.SIMPLE_HEAD, padding=(0, 0), pad_edge=False, show_edge=False, header_style="bold")
        tight = self._taken(columns, width) > width
        for i in columns:
            justify: JustifyMethod = "left" if self.table.is_text(i) else "right"
            no_wrap = not (tight or self._broken(i, width))
            header = RichText(_header(self.table.headers[i]))
            grid.add_column(header, justify=justify, vertical="top", overflow="fold", no_wrap=no_wrap)
        for row in self.table.rows:
            grid.add_row(*(RichText(row[i].text, style=STYLES[row[i].tone]) for i in columns))
        return grid


def _header(text: str) -> str:
    return text if text == "95 %" else text.replace(" ", "\n")


def render_run(run: Run, metrics: Sequence[str] = DEFAULT) -> Iterator[RenderableType]:
    """Everything about a run, the summary last, where a reader looks first."""
    for table in op_tables(run, metrics):
        yield Fitted(table)
    for table in (problem_table(run), summary_table(run)):
        if table is not None:
            yield Fitted(table)
    yield from (RichText(line, style="dim") for line in headlines(run, metrics))


def render_comparison(comparison: Comparison, *, everything: bool = False) -> Iterator[RenderableType]:
    """The changes, notes, and the count of verdicts."""
    table = changes_table(comparison, everything=everything)
    if table is not None:
        yield Fitted(table)
    yield from (RichText(note, style="dim") for note in comparison.notes)
    yield f"[bold]{escape(label(comparison))}[/]: {verdict_line(comparison)}"


def plain(renderables: Iterator[RenderableType], width: int = PLAIN_WIDTH) -> str:
    """The same as text without colours."""
    made = Console(width=width, color_system=None, force_terminal=False, highlight=False, legacy_windows=False)
    with made.capture() as captured:
        for renderable in renderables:
            made.print(renderable)
    return "\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n"
