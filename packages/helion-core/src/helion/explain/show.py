"""Reports as text: colours and boxes on a terminal, plain lines elsewhere."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Collection, Sequence

from rich import box
from rich.console import Console
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from ..config import Config
from .report import Report

SECTIONS = ("program", "space", "code", "facts", "work", "roofline")
PLAIN_WIDTH = 1000  # lines are not broken where a program may read them


def console() -> Console:
    """stdout."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=PLAIN_WIDTH, no_color=True)


def show(reports: Sequence[Report], arguments: str, sections: Collection[str], out: Console) -> None:
    """Prints `sections` of the reports of one kernel on one target, side by side where there are several."""
    first = reports[0]
    gpu = f" ({first.gpu.name})" if first.gpu else ""
    out.print(Text(f"{first.kernel}({arguments}) on {first.target}{gpu}", style="bold"), soft_wrap=True)
    for name, r in zip(_labels(reports), reports, strict=True):
        text = repr(r.config) if r is first else _changes(first.config, r.config)
        out.print(Text(f"{name}: {text}"), soft_wrap=True)
    texts: dict[str, Callable[[], None]] = {
        "program": lambda: _print(first.program, out),
        "space": lambda: _print(first.space, out),
        "code": lambda: _show_code(reports, out),
        "facts": lambda: out.print(_facts(reports)),
        "work": lambda: _show_work(reports, out),
        "roofline": lambda: _show_roofline(reports, out),
    }
    for name in SECTIONS:
        if name in sections:
            out.print()
            out.print(Text(f"== {name} ==", style="bold cyan"))
            texts[name]()


def _labels(reports: Sequence[Report]) -> list[str]:
    return ["config"] if len(reports) == 1 else [f"config {k}" for k in range(1, len(reports) + 1)]


def _changes(old: Config, new: Config) -> str:
    """What one config says otherwise than another."""
    changed = Config(**{key: value for key, value in new.items() if old.get(key) != value})
    return f"as config 1, but {changed!r}" if changed else "the same as config 1"


def _print(text: str, out: Console) -> None:
    out.print(Text(text), soft_wrap=True)


def _show_code(reports: Sequence[Report], out: Console) -> None:
    """The code of the first config, and what the others change in it."""
    _print_syntax(reports[0].code, "python", out)
    for k, other in enumerate(reports[1:], start=2):
        lines = difflib.unified_diff(
            reports[0].code.splitlines(), other.code.splitlines(), "config 1", f"config {k}", lineterm=""
        )
        _print_syntax("\n".join(lines) or f"config {k}: the same code", "diff", out)


def _print_syntax(text: str, language: str, out: Console) -> None:
    if out.is_terminal:
        out.print(Syntax(text, language, background_color="default", word_wrap=True))
    else:
        _print(text, out)


def _table(reports: Sequence[Report], rows: Sequence[tuple[str, Callable[[Report], str]]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD if len(reports) > 1 else None, show_header=len(reports) > 1, pad_edge=False)
    table.add_column("")
    for label in _labels(reports):
        table.add_column(label, justify="right")
    for name, value in rows:
        values = [value(r) for r in reports]
        table.add_row(name, *values, style="bold" if len(set(values)) > 1 else "")
    return table


def _facts(reports: Sequence[Report]) -> Table:
    return _table(
        reports,
        [
            ("grid", lambda r: " × ".join(map(str, r.grid))),
            ("warps a program", lambda r: str(r.config["num_warps"])),
            ("registers a thread", lambda r: str(r.facts.registers)),
            ("spilled bytes a thread", lambda r: str(r.facts.spills)),
            ("shared memory", lambda r: f"{r.facts.shared_memory} bytes"),
            ("matrix and TMA instructions", lambda r: instructions(r.facts.matrix_instructions)),
            ("size of the code", lambda r: f"{r.facts.code_size} bytes"),
            ("programs a multiprocessor", lambda r: f"{r.occupancy.programs}" if r.occupancy else "?"),
            ("limited by", lambda r: r.occupancy.limit if r.occupancy else "?"),
            ("warps in use", lambda r: f"{r.occupancy.warps:.0%}" if r.occupancy else "?"),
            ("waves", lambda r: f"{r.occupancy.waves:.2f}" if r.occupancy else "?"),
        ],
    )


def instructions(found: dict[str, int] | object) -> str:
    """`wgmma 4, tma 10`."""
    return ", ".join(f"{name} {n}" for name, n in dict(found).items()) or "none"  # type: ignore[call-overload]


def _show_work(reports: Sequence[Report], out: Console) -> None:
    kinds = sorted({kind for r in reports for kind in r.work.matrix})
    products = [(f"products ({kind})", _matrix(kind)) for kind in kinds]
    out.print(
        _table(
            reports,
            [
                ("distinct bytes read", lambda r: quantity(r.work.read, "B")),
                ("distinct bytes written", lambda r: quantity(r.work.written, "B")),
                ("bytes that programs load", lambda r: quantity(r.work.loaded, "B")),
                ("bytes that programs store", lambda r: quantity(r.work.stored, "B")),
                *products,
                ("other operations on floats", lambda r: quantity(r.work.vector, "FLOP")),
            ],
        )
    )
    _show_notes(reports, out)


def _show_notes(reports: Sequence[Report], out: Console) -> None:
    for note in dict.fromkeys(note for r in reports for note in r.work.notes):
        _print(f"note: {note}", out)


def _matrix(kind: str) -> Callable[[Report], str]:
    return lambda r: quantity(r.work.matrix.get(kind, 0), "FLOP")


def _show_roofline(reports: Sequence[Report], out: Console) -> None:
    gpu = reports[0].gpu
    if gpu is None:
        _print(f"no figures are known for {reports[0].target}", out)
        return
    out.print(
        _table(
            reports,
            [
                ("memory", lambda r: duration(r.roofline.memory) if r.roofline else "?"),
                ("matrix units", lambda r: duration(r.roofline.matrix) if r.roofline else "?"),
                ("vector units", lambda r: duration(r.roofline.vector) if r.roofline else "?"),
                ("at least", lambda r: duration(r.roofline.seconds) if r.roofline else "?"),
                ("bound by", lambda r: r.roofline.bound if r.roofline else "?"),
            ],
        )
    )
    _show_notes(reports, out)
    _print(f"a bound by the vendor's peaks for {gpu.name}, not a prediction; {gpu.source}", out)


def quantity(value: float, unit: str) -> str:
    """A number with a decimal prefix: `137.4 GFLOP`."""
    step = min(5, max(0, int(math.log10(value) // 3))) if value >= 1 else 0
    return f"{value / 1000**step:.4g} {('', 'k', 'M', 'G', 'T', 'P')[step]}{unit}"


def duration(seconds: float) -> str:
    """`12.3 µs`."""
    return f"{seconds * 1e6:.4g} µs" if seconds < 1e-3 else f"{seconds * 1e3:.4g} ms"
