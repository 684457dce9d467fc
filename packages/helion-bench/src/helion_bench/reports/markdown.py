"""Markdown for a pull request: the verdict and what changed at once, the tables behind a click."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from helion_bench.reports.changes import changes_table, label, verdict_line
from helion_bench.reports.metrics import DEFAULT
from helion_bench.reports.table import Table, Text, Tone
from helion_bench.reports.tables import headlines, op_tables, problem_table, summary_table
from helion_bench.results.compare import Comparison
from helion_bench.results.model import Run

_SPECIAL = str.maketrans({char: f"\\{char}" for char in "|*_`<>[]\\"})


def markdown(run: Run, metrics: Sequence[str] = DEFAULT, comparison: Comparison | None = None) -> str:
    """The report of a run, with a comparison on top if there is one."""
    parts = ["# helion-bench", ""]
    if comparison is not None:
        parts += [*_comparison(comparison)]
    for table in (summary_table(run), problem_table(run)):
        if table is not None:
            parts += [f"## {_escape(table.title)}", "", *_table(table), ""]
    for table in op_tables(run, metrics):
        parts += [*_folded(f"{table.title} ({len(table.rows)})", [_table(table)])]
    parts += [f"- {_escape(line)}" for line in headlines(run, metrics)]
    return "\n".join(parts) + "\n"


def comparison_markdown(comparison: Comparison) -> str:
    """The report of a comparison alone."""
    return "\n".join(["# helion-bench compare", "", *_comparison(comparison)]).rstrip() + "\n"


def _comparison(comparison: Comparison) -> Iterator[str]:
    yield f"**{_escape(label(comparison))}**: {verdict_line(comparison)}"
    yield ""
    table = changes_table(comparison)
    if table is not None:
        yield from _table(table)
        yield ""
    full = changes_table(comparison, everything=True)
    if full is not None and (table is None or len(full.rows) > len(table.rows)):
        yield from _folded(f"all {len(full.rows)} cases", [_table(full)])
    yield from (f"- {_escape(note)}" for note in comparison.notes)
    yield ""


def _folded(summary: str, parts: Sequence[Iterator[str]]) -> Iterator[str]:
    yield f"<details><summary>{_escape(summary)}</summary>"
    yield ""
    for part in parts:
        yield from part
    yield ""
    yield "</details>"
    yield ""


def _table(table: Table) -> Iterator[str]:
    yield _line(_escape(header) for header in table.headers)
    yield _line(":--" if table.is_text(i) else "--:" for i in range(len(table.headers)))
    for row in table.rows:
        yield _line(_cell(cell) for cell in row)


def _line(cells: Iterator[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(cell: Text) -> str:
    text = _escape(cell.text)
    return f"**{text}**" if cell.tone in (Tone.BAD, Tone.STRONG) else text


def _escape(text: str) -> str:
    return text.replace("\n", " ").translate(_SPECIAL)
