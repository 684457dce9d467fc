"""The table of speeds in helion-kernels' README, and the list of all cases behind it, from a run of helion-bench.

    helion-bench run --json speeds.json                  # on the GPU, all operations and backends
    python tools/speed_table.py speeds.json              # rewrites both
    python tools/speed_table.py speeds.json --check      # says whether they are what the run says

A line is an operation, a dtype and a pass: geometric means, over the shapes, of the time of a peer / our time. What the
columns mean stands below the table, with the device, the versions, and what came to no result.
"""

from __future__ import annotations

import argparse
import shlex
import statistics
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from helion_bench.reports.tables import beside_torch_lines, host_bound_lines, machine_line, versions
from helion_bench.results.model import CaseKey, Role, Run
from helion_bench.results.speedup import TIE, Speedup, failures, speedups, summarise
from helion_bench.results.store import read_run

PACKAGE = Path(__file__).parent.parent / "packages" / "helion-kernels"
README, CASES = PACKAGE / "README.md", PACKAGE / "docs" / "speeds.md"
BEGIN, END = "<!-- speeds: written by tools/speed_table.py -->", "<!-- end of speeds -->"
OURS = "helion"
PEERS: dict[str, tuple[str, ...]] = {
    "torch": ("eager",), "compiled": ("compile", "compile-max"), "vendor": ("cublas", "cudnn", "cutlass"),
    "FlashAttention-2": ("flash",), "Liger": ("liger",), "Triton": ("triton",),
}  # fmt: skip
"""Columns, and the backends whose fastest at each shape they show; any other peer has a column of its own."""
COLUMNS = (
    "**best peer** is the fastest of all at each shape, and *tied* within {tie:.0%} of it; **torch** is eager torch, "
    "**compiled** `torch.compile`, **vendor** the fastest of cuBLAS, cuDNN and CUTLASS, **Triton** kernels written by "
    "hand. **error** is the largest deviation from float64, **torch's** that of eager torch."
)
NONE = "–"
PLACES = ("--json", "--html", "--markdown", "--csv", "--results", "--against", "--tritonbench")
"""Options that name files and folders of the machine."""


def table(run: Run) -> list[str]:
    """The lines of the README's table."""
    columns = _columns(run)
    heads = ["op", "dtype", "pass", "shapes", "best peer", "won, tied, lost", *columns, "error", "torch's"]
    lines = [_row(heads), _row([":--"] * 3 + ["--:"] * (len(heads) - 3))]
    for (op, dtype, pass_), found in _grouped(speedups(run, OURS)):
        whole = summarise(found)
        assert whole is not None
        outcomes = f"{whole.wins}, {whole.ties}, {whole.losses}"
        peers = [_against(found, names) for names in columns.values()]
        best = _marked(f"**{whole.mean.value:.2f}**", whole.best_host_bound)
        errors = [_error(run, [s.case for s in found], backend) for backend in (OURS, "eager")]
        lines.append(_row([op, dtype, pass_, str(len(found)), best, outcomes, *peers, *errors]))
    return lines


def cases(run: Run) -> list[str]:
    """The lines of the list of all cases, the least speed-up first."""
    lines = [_row(["case", "speed-up", "95 %", "best peer", "outcome"]), _row([":--", "--:", "--:", ":--", ":--"])]
    for found in sorted(speedups(run, OURS), key=lambda s: s.best_peer.value):
        mean = found.best_peer
        spread = f"{mean.low:.2f}–{mean.high:.2f}" if mean.known else NONE
        speedup = _marked(f"{mean.value:.2f}", found.best in found.host_bound)
        lines.append(_row([found.case.id, speedup, spread, found.best, found.outcome]))
    return lines


def _grouped(found: Iterable[Speedup]) -> Iterator[tuple[tuple[str, str, str], list[Speedup]]]:
    groups: dict[tuple[str, str, str], list[Speedup]] = {}
    for speedup in found:
        case = speedup.case
        groups.setdefault((case.op, case.dtype, case.pass_), []).append(speedup)
    yield from groups.items()


def _against(found: Sequence[Speedup], names: Sequence[str]) -> str:
    """Against the fastest of peers `names` at each shape where there is one."""
    least = []
    waited = False
    for speedup in found:
        there = [name for name in names if name in speedup.against]
        if there:
            fastest = min(there, key=lambda name: speedup.against[name].value)
            least.append(speedup.against[fastest].value)
            waited = waited or fastest in speedup.host_bound
    return _marked(f"{statistics.geometric_mean(least):.2f}", waited) if least else NONE


def _columns(run: Run) -> dict[str, tuple[str, ...]]:
    """Those of `PEERS` that the run has anything of, and the peers that are in none."""
    tried = {cell.backend for cell in run.cells if cell.latency}
    peers = [name for name in run.names(Role.PEER) if name in tried]
    others = [name for name in peers if not any(name in names for names in PEERS.values())]
    here = {column: names for column, names in PEERS.items() if tried.intersection(names)}
    return here | {name: (name,) for name in others}


def told(run: Run) -> list[str]:
    """Lines on where and how the run was made, and what its stars mean."""
    count = len({found.case for found in speedups(run, OURS)})
    end = "" if run.complete else ", as many as its time allowed"
    lines = [
        f"{machine_line(run)}; {versions(run)}; {run.started[:10]}.",
        f"{count} cases{end}, measured by `{command(run)}`.",
    ]
    return lines + [f"\\{line}." for line in host_bound_lines(run)] + without(run)


def command(run: Run) -> str:
    """The command of the run, without places on its machine."""
    words = iter(run.command)
    kept = []
    for word in words:
        option, _, value = word.partition("=")
        if option not in PLACES:
            kept.append(word)
        elif not value:
            next(words, None)
    return shlex.join(kept)


def without(run: Run) -> list[str]:
    """What was tried and has no right result, of ours and of peers."""
    groups: dict[tuple[str, str], list[str]] = {}
    for cell in failures(run, (Role.OURS, Role.PEER)):
        reason = " ".join(cell.reason.split())
        groups.setdefault((cell.backend, reason), []).append(cell.case.id)
    return [f"No result of {backend} ({reason}): {', '.join(names)}." for (backend, reason), names in groups.items()]


def _marked(text: str, host_bound: bool) -> str:
    return rf"{text}\*" if host_bound else text


def _error(run: Run, keys: Iterable[CaseKey], backend: str) -> str:
    cells = [run.by_key.get((key, backend)) for key in keys]
    errors = [
        c.accuracy.max_abs for c in cells if c is not None and c.accuracy is not None and c.accuracy.max_abs is not None
    ]
    return f"{max(errors):.1e}" if errors else NONE


def _row(values: Iterable[str]) -> str:
    return "| " + " | ".join(values) + " |"


def _listed(lines: Iterable[str]) -> list[str]:
    return [f"- {line}" for line in lines]


def written(run: Run) -> dict[Path, str]:
    """The files as the run has them. Raises ValueError for a README without the marks."""
    readme = README.read_text()
    if BEGIN not in readme or END not in readme:
        raise ValueError(f"{README} has no lines {BEGIN!r} and {END!r}")
    head, rest = readme.split(BEGIN)
    tail = rest.split(END)[1]
    columns = COLUMNS.format(tie=TIE)
    body = "\n".join([BEGIN, "", *table(run), "", columns, "", *_listed(told(run)), "", END])
    title = (
        "# Speeds, case by case\n\nTime of the best peer / our time, the least first; see the README for the means.\n"
    )
    lines = [*told(run), *(f"{line[0].upper()}{line[1:]}." for line in beside_torch_lines(run))]
    listed = "\n".join([title, *_listed(lines), "", *cases(run), ""])
    return {README: head + body + tail, CASES: listed}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a result of helion-bench run --json")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 where something differs")
    options = parser.parse_args(arguments)
    stale = 0
    for path, text in written(read_run(options.run)).items():
        if path.exists() and path.read_text() == text:
            continue
        stale += 1
        if not options.check:
            path.write_text(text)
        print(f"{'differs' if options.check else 'wrote'}: {path.name}")
    return int(options.check and stale > 0)


if __name__ == "__main__":
    sys.exit(main())
