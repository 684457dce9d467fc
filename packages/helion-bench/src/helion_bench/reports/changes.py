"""A comparison as a table and a sentence."""

from __future__ import annotations

from helion_bench.reports import figures
from helion_bench.reports.table import EMPTY, Table, Text, Tone
from helion_bench.results.compare import Change, Comparison, operations_gone
from helion_bench.statistics.verdict import Verdict

_TONES = {Verdict.SLOWER: Tone.BAD, Verdict.FASTER: Tone.GOOD, Verdict.MISSING: Tone.DIM, Verdict.UNCLEAR: Tone.DIM}
_ORDER = (Verdict.SLOWER, Verdict.MISSING, Verdict.FASTER, Verdict.UNCLEAR, Verdict.SAME)


def verdict_line(comparison: Comparison) -> str:
    """3 slower, 1 faster, 40 same, 2 unclear, 1 missing"""
    order = (Verdict.SLOWER, Verdict.FASTER, Verdict.SAME, Verdict.UNCLEAR, Verdict.MISSING)
    return ", ".join(f"{comparison.count(verdict)} {verdict.value}" for verdict in order)


def label(comparison: Comparison) -> str:
    """Which runs: old → new."""
    return f"{_name(comparison.old.name or comparison.old.id)} → {_name(comparison.new.name or comparison.new.id)}"


def _name(text: str) -> str:
    return text or "unnamed"


def changes_table(comparison: Comparison, *, everything: bool = False) -> Table | None:
    """What needs attention, worst first; with `everything`, the cases that are the same, too.

    Operations that the new run holds nothing of are named in the notes, not case by case: it was not asked for them.
    """
    gone = set(operations_gone(comparison.old, comparison.new))
    shown = [c for c in comparison.changes if c.verdict is not Verdict.SAME and c.case.op not in gone]
    chosen = list(comparison.changes) if everything else shown
    chosen.sort(key=lambda c: (_ORDER.index(c.verdict), -abs(c.ratio.value - 1) if c.ratio else 0.0))
    if not chosen:
        return None
    headers = ["case", "verdict", "change", "old µs", "new µs", "95 %", "backend", "reason"]
    return Table.of(label(comparison), headers, [_row(change) for change in chosen], labels=2)


def _tone(change: Change) -> Tone:
    return Tone.BAD if change.broken or change.vanished else _TONES.get(change.verdict, Tone.PLAIN)


def _row(change: Change) -> list[Text]:
    ratio = change.ratio
    shown = EMPTY if ratio is None else Text(figures.signed_percent(ratio.value - 1))
    known = ratio is not None and ratio.known
    spread = Text(f"{ratio.low - 1:+.1%} … {ratio.high - 1:+.1%}", Tone.DIM) if known and ratio else EMPTY
    return [
        Text(change.case.id),
        Text(change.verdict.value, _tone(change)),
        shown,
        EMPTY if change.old_us is None else Text(figures.microseconds(change.old_us)),
        EMPTY if change.new_us is None else Text(figures.microseconds(change.new_us)),
        spread,
        Text(change.backend),
        Text(change.reason),
    ]
