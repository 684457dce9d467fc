"""The table of speeds in helion-kernels' README, and the list of all cases behind it, from a run of helion-bench.

    helion-bench run --json speeds.json                  # on the GPU, all operations and backends
    python tools/speed_table.py speeds.json              # rewrites both
    python tools/speed_table.py speeds.json --check      # says whether they are what the run says

A line is an operation, a dtype and a pass: geometric means, over the shapes, of the time of a peer / our time. "best"
is the fastest of all peers at each shape; "torch", "compiled" and "vendor" are eager torch, torch.compile, and the best
of cuBLAS, cuDNN and CUTLASS. The error is the largest deviation from float64, and beside it what eager torch's is.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from helion_bench.reports.tables import headlines
from helion_bench.results.model import CaseKey, Run
from helion_bench.results.speedup import Speedup, speedups, summarise
from helion_bench.results.store import read_run

PACKAGE = Path(__file__).parent.parent / "packages" / "helion-kernels"
README, CASES = PACKAGE / "README.md", PACKAGE / "docs" / "speeds.md"
BEGIN, END = "<!-- speeds: written by tools/speed_table.py -->", "<!-- end of speeds -->"
OURS = "helion"
PEERS = {
    "torch": ("eager",), "compiled": ("compile", "max-autotune"), "vendor": ("cublas", "cudnn", "cutlass"),
    "FlashAttention-2": ("flash",), "Liger": ("liger",),
}  # fmt: skip
NONE = "–"


def table(run: Run) -> list[str]:
    """The lines of the README's table."""
    heads = ["op", "dtype", "pass", "shapes", "best peer", "won, tied, lost", *PEERS, "error", "torch's"]
    lines = [_row(heads), _row([":--"] * 3 + ["--:"] * (len(heads) - 3))]
    for (op, dtype, pass_), found in _grouped(speedups(run, OURS)):
        whole = summarise(found)
        assert whole is not None
        outcomes = f"{whole.wins}, {whole.ties}, {whole.losses}"
        peers = [_against(found, names) for names in PEERS.values()]
        errors = [_error(run, [s.case for s in found], backend) for backend in (OURS, "eager")]
        lines.append(
            _row([op, dtype, pass_, str(len(found)), f"**{whole.mean.value:.2f}**", outcomes, *peers, *errors])
        )
    return lines


def cases(run: Run) -> list[str]:
    """The lines of the list of all cases, the least speed-up first."""
    lines = [_row(["case", "speed-up", "95 %", "best peer", "outcome"]), _row([":--", "--:", "--:", ":--", ":--"])]
    for found in sorted(speedups(run, OURS), key=lambda s: s.best_peer.value):
        mean = found.best_peer
        spread = f"{mean.low:.2f}–{mean.high:.2f}" if mean.known else NONE
        lines.append(_row([found.case.id, f"{mean.value:.2f}", spread, found.best, found.outcome]))
    return lines


def _grouped(found: Iterable[Speedup]) -> Iterator[tuple[tuple[str, str, str], list[Speedup]]]:
    groups: dict[tuple[str, str, str], list[Speedup]] = {}
    for speedup in found:
        case = speedup.case
        groups.setdefault((case.op, case.dtype, case.pass_), []).append(speedup)
    yield from groups.items()


def _against(found: Sequence[Speedup], names: Sequence[str]) -> str:
    """Against the fastest of peers `names` at each shape where there is one."""
    least = [
        min(s.against[n].value for n in names if n in s.against) for s in found if any(n in s.against for n in names)
    ]
    return f"{statistics.geometric_mean(least):.2f}" if least else NONE


def _error(run: Run, keys: Iterable[CaseKey], backend: str) -> str:
    cells = [run.by_key.get((key, backend)) for key in keys]
    errors = [
        c.accuracy.max_abs for c in cells if c is not None and c.accuracy is not None and c.accuracy.max_abs is not None
    ]
    return f"{max(errors):.1e}" if errors else NONE


def _row(values: Iterable[str]) -> str:
    return "| " + " | ".join(values) + " |"


def written(run: Run) -> dict[Path, str]:
    """The files as the run has them. Raises ValueError for a README without the marks."""
    told = [f"{line}  " for line in headlines(run)]
    readme = README.read_text()
    if BEGIN not in readme or END not in readme:
        raise ValueError(f"{README} has no lines {BEGIN!r} and {END!r}")
    head, rest = readme.split(BEGIN)
    tail = rest.split(END)[1]
    body = "\n".join([BEGIN, "", *table(run), "", *told, "", END])
    title = (
        "# Speeds, case by case\n\nTime of the best peer / our time, the least first; see the README for the means.\n"
    )
    listed = "\n".join([title, *told, "", *cases(run), ""])
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
