"""Does helion-bench keep quiet where nothing changed, and find what did? Three runs of one commit tell.

Usage: `python tools/bench_selfcheck.py [--plant softmax] [--key num_warps --value 1] [--ops "*norm,rope"]
[--report DIR] [options of run]`

    python tools/bench_selfcheck.py --quick --seconds 60 --backends helion,eager

Options that it does not know go to each of the three runs of `helion-bench run`, so it takes three times what one run
takes: with the line above four minutes (twice 60 seconds, once 90 for the backend more, start, and reports), with no
options at all three times all cases and backends. Only ours and one peer, by which the machine's drift is known, are
needed. The operation made slower is measured first, so that a run whose time is spent has it; what is compared are the
cases that runs have in common.

Runs A and B are the same: a comparison must find nothing slower. In run C one operation's configs have one key changed
for the worse, as a backend of its own beside ours; its cells then take the place of ours, and the comparison of A with
C must find the cases that the interleaved measurement within C shows to be slower, and nothing else. An operation whose
kernels others call, too (log_softmax calls those of softmax), makes those slower as well: the backend marks every case
in which it changed a config. Exits with 1 if something is slower in B, or if C names a case without the mark, or none.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from helion_bench.reports.changes import verdict_line
from helion_bench.results.codec import encode
from helion_bench.results.compare import Comparison, compare
from helion_bench.results.model import Role, Run
from helion_bench.results.speedup import speedup_of
from helion_bench.results.store import read_run, write_file
from helion_bench.statistics.verdict import Verdict

PLANTED = "helion-planted"
MARK = "changed: "
MODULE = """
from helion_bench.backends.ours import CALLED, Ours

OP, CHANGE = {op!r}, {change!r}


class Planted(Ours):
    name = "helion-planted"
    description = "helion-kernels with a worse config for one operation"
    routine = False

    def choose(self, called):
        found = super().choose(called)
        return found.replace(**CHANGE) if called.op == OP else found

    def config(self):
        mark = {mark!r} if any(called.op == OP for called in CALLED) else ""
        return mark + super().config()
"""


def plug_in(folder: Path, op: str, change: dict[str, int]) -> None:
    """A distribution in `folder` that registers the planted backend where `folder` is in the path."""
    (folder / "helion_planted.py").write_text(MODULE.format(op=op, change=change, mark=MARK))
    info = folder / "helion_planted-0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: helion-planted\nVersion: 0\n")
    (info / "entry_points.txt").write_text("[helion_bench.backends]\nhelion-planted = helion_planted:Planted\n")


def bench(result: Path, options: Sequence[str], path: Path | None = None) -> Run:
    """One run, in a process of its own, told of in a line. Raises CalledProcessError."""
    environment = dict(os.environ)
    if path is not None:
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(path), environment.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "helion_bench", "run", *options, "--fail-on", "none", "--json", str(result)]
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    run = read_run(result)
    end = "" if run.complete else ", not all of them: compared are the cases that runs have in common"
    print(f"run {result.stem}: {len(run.cases)} cases in {run.seconds:.0f} s{end}", flush=True)
    return run


def in_place_of_ours(run: Run) -> Run:
    """`run` as if the planted backend were ours."""
    ours = run.names(Role.OURS)
    kept = [cell for cell in run.cells if cell.backend not in ours]
    planted = [dataclasses.replace(cell, backend="helion") for cell in run.cells if cell.backend == PLANTED]
    backends = tuple(b for b in run.backends if b.name != PLANTED)
    return dataclasses.replace(run, cells=(*kept, *planted), backends=backends, id=f"{run.id}-planted")


def slower(comparison: Comparison) -> set[str]:
    return {change.case.id for change in comparison.changes if change.verdict is Verdict.SLOWER}


def truth(run: Run) -> dict[str, float]:
    """Planted time / our time of each case with a changed config, measured in turn within one run."""
    cells = run.by_key
    found = {}
    for case in run.cases:
        ours, planted = cells.get((case, "helion")), cells.get((case, PLANTED))
        if ours and planted and ours.latency and planted.latency and planted.config.startswith(MARK):
            found[case.id] = speedup_of(ours.latency, planted.latency).value
    return found


def report(folder: Path | None, runs: dict[str, Run]) -> None:
    for name, run in runs.items():
        if folder is not None:
            write_file(folder / f"{name}.json", encode(run))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="Does helion-bench keep quiet, and find what is slower? Three runs of one commit tell.",
        epilog="Other options go to each of the three runs of `helion-bench run`, and bound the time: with --quick "
        "--seconds 60 --backends helion,eager it takes four minutes, with none three times all cases.",
    )
    parser.add_argument("--plant", default="softmax", metavar="OP", help="the operation made slower")
    parser.add_argument("--key", default="num_warps", help="of its configs")
    parser.add_argument("--value", type=int, default=1)
    parser.add_argument("--ops", default="*", metavar="A,B", help="operations beside it (default: all)")
    parser.add_argument("--backends", default="", metavar="A,B", help="ours and its peers (default: those of run)")
    parser.add_argument("--seconds", type=float, help="for each of the first two runs; the third has a backend more")
    parser.add_argument("--report", type=Path, metavar="DIR", help="folder for the runs")
    arguments, options = parser.parse_known_args(argv)
    words = [arguments.plant, *arguments.ops.split(","), *options]
    with tempfile.TemporaryDirectory(prefix="helion-selfcheck-") as name:
        folder = Path(name)
        alike = [*words, *limits(arguments.backends, arguments.seconds)]
        first, second = (bench(folder / f"{x}.json", alike) for x in "ab")
        there = [b.name for b in first.backends if not b.why_not]
        plug_in(folder, arguments.plant, {arguments.key: arguments.value})
        seconds = arguments.seconds and arguments.seconds * (len(there) + 1) / len(there)
        third = bench(folder / "c.json", [*words, *limits(",".join([*there, PLANTED]), seconds)], folder)
    planted = in_place_of_ours(third)
    report(arguments.report, {"a": first, "b": second, "c": third, "c_planted": planted})
    return judge(first, second, planted, truth(third), arguments.plant)


def limits(backends: str, seconds: float | None) -> list[str]:
    """Options of a run."""
    return [*(["--seconds", f"{seconds:g}"] if seconds else []), *(["--backends", backends] if backends else [])]


def judge(first: Run, second: Run, planted: Run, true: dict[str, float], op: str) -> int:
    """Say what was found; 1 if that is too much or nothing."""
    same, changed = compare(first, second), compare(first, planted)
    for comparison, title in ((same, "nothing changed"), (changed, f"{op} made slower")):
        print(f"{title}: {verdict_line(comparison)}")
        for note in comparison.notes:
            print(f"  {note}")
    found = slower(changed)
    for case, ratio in true.items():
        print(f"  {case}: {ratio - 1:+.1%} within the run, {'found' if case in found else 'not found'}")
    others = sorted(found - true.keys())
    print(f"  whose configs are the same: {', '.join(others) or 'none'}")
    return int(bool(slower(same) or others or not found))


if __name__ == "__main__":
    sys.exit(main())
