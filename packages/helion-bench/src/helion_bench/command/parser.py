"""The whole command line, as data.

argparse: a handful of commands with plain options need no other library, and its messages are what people know.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

import helion_bench
from helion_bench.command.exits import CONDITIONS
from helion_bench.reports.figures import dtype_of
from helion_bench.reports.metrics import DEFAULT, METRICS
from helion_bench.statistics.verdict import MINIMUM_EFFECT

_EXITS = """exit status: 0 success; 1 what --fail-on names was found; 2 the request cannot be met; 130 interrupted,
what was measured is kept"""
_SHAPES = "labels or patterns of shapes (8192x*), or new ones by all their sizes (rows=100,cols=3000)"
_STANDARD = "-: standard output, and all else to standard error"


def names(known: tuple[str, ...] = ()) -> Callable[[str], tuple[str, ...]]:
    """A type of option: names between commas, of those `known` if any are given."""

    def parse(text: str) -> tuple[str, ...]:
        found = tuple(dict.fromkeys(_words(text, known)))
        unknown = [name for name in found if known and name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}{_there_is(known)}")
        return found

    return parse


def shapes(text: str) -> tuple[str, ...]:
    """A type of option: shapes between commas; `rows=8,cols=100` is one, up to where a name comes again."""
    found: list[list[str]] = []
    for part in _words(text):
        name, is_size, _ = part.partition("=")
        if is_size and found and all("=" in one and one.partition("=")[0] != name for one in found[-1]):
            found[-1].append(part)
        else:
            found.append([part])
    return tuple(dict.fromkeys(",".join(parts) for parts in found))


def _words(text: str, known: tuple[str, ...] = ()) -> list[str]:
    found = [part.strip() for part in text.split(",") if part.strip()]
    if not found:
        raise argparse.ArgumentTypeError(f"nothing is named{_there_is(known)}")
    return found


def _there_is(known: tuple[str, ...]) -> str:
    return f"; there is: {', '.join(known)}" if known else ""


def dtypes(text: str) -> tuple[str, ...]:
    """A type of option: dtypes between commas, by torch's names or as tables show them (`bf16`)."""
    return tuple(dict.fromkeys(map(dtype_of, names()(text))))


def positive(text: str) -> float:
    """A type of option: a number above 0."""
    return _number(text, float("inf"), "expected a number above 0")


def share(text: str) -> float:
    """A type of option: a number between 0 and 1."""
    return _number(text, 1.0, "expected a share between 0 and 1 (0.05 is 5 %)")


def _number(text: str, limit: float, expected: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < limit:
        raise argparse.ArgumentTypeError(f"{expected}, not {text}")
    return value


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="helion-bench", description="Compare Helion kernels with what else computes the same.", epilog=_EXITS
    )
    parser.add_argument("--version", action="version", version=f"helion-bench {helion_bench.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for add in (_run, _list, _compare, _report, _save):
        add(commands)
    for command in commands.choices.values():
        command.add_argument("--results", metavar="DIR", help="folder of stored runs (else $HELION_BENCH_RESULTS)")
        command.epilog = _EXITS
    return parser


def _run(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    run = commands.add_parser("run", help="measure, check, show and keep")
    run.add_argument("ops", nargs="*", metavar="OP", help="operations (default: all; see `helion-bench list`)")
    _selection(run)
    run.add_argument("--quick", action="store_true", help="few shapes and rounds")
    run.add_argument("--seconds", type=positive, metavar="N", help="end after about this long, keep what is measured")
    run.add_argument("--resume", action="store_true", help="go on with the last unfinished run of the same request")
    _comparing(run)
    _outputs(run)


def _selection(run: argparse.ArgumentParser) -> None:
    run.add_argument("--shapes", type=shapes, default=(), metavar="A,B", help=_SHAPES)
    run.add_argument("--dtypes", type=dtypes, default=(), metavar="A,B", help="bfloat16 or bf16, float32, …")
    passes = ("fwd", "bwd")
    run.add_argument(
        "--passes", type=names(passes), default=passes, metavar="fwd,bwd",
        help="default: both; bwd is fwd+bwd, both as one call, where the forward pass computes the gradients",
    )  # fmt: skip
    run.add_argument("--backends", type=names(), default=(), metavar="A,B", help="default: routine ones that are here")
    run.add_argument(
        "--device", choices=("cuda", "cpu"), default="cuda", help="cpu: right or not, compile facts, no times"
    )
    run.add_argument("--tritonbench", metavar="PATH", help="a checkout of tritonbench")


def _list(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    listing = commands.add_parser("list", help="operations, shapes, backends (and why one is not here), stored runs")
    listing.add_argument(
        "what", nargs="*", metavar="WHAT", help="ops, backends, runs (default: all three)", default=[], type=_what
    )
    listing.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="for which backends are to be there")
    listing.add_argument("--tritonbench", metavar="PATH", help="a checkout of tritonbench")


def _what(text: str) -> str:
    if text not in ("ops", "backends", "runs"):
        raise argparse.ArgumentTypeError(f"{text!r} is none of ops, backends, runs")
    return text


def _compare(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    compare = commands.add_parser("compare", help="what became slower or faster between two stored runs")
    for which in ("old", "new"):
        compare.add_argument(
            which, metavar=which.upper(), help="a file, the name of a baseline, the id of a run, or last"
        )
    compare.add_argument("--all", action="store_true", help="show the cases that are the same, too")
    _threshold(compare)
    compare.add_argument("--fail-on", type=_conditions, default=(), metavar="A,B", help=_conditions_help("none"))
    compare.add_argument("--markdown", metavar="FILE", help=f"for a pull request ({_STANDARD})")


def _report(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    report = commands.add_parser("report", help="show a stored run again, or write it as another format")
    report.add_argument("run", metavar="RUN", help="a file, the name of a baseline, the id of a run, or last")
    _comparing(report, fail_on="none")
    _outputs(report)


def _save(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    save = commands.add_parser("save", help="give a run a name to compare with later")
    save.add_argument("name", metavar="NAME")
    save.add_argument("run", nargs="?", default="last", metavar="RUN", help="a file, the id of a run (default: last)")
    save.add_argument("--replace", action="store_true", help="overwrite a baseline of that name")


def _comparing(command: argparse.ArgumentParser, fail_on: str = "wrong") -> None:
    default = () if fail_on == "none" else (fail_on,)
    command.add_argument("--against", metavar="RUN", help="compare with this file or baseline")
    command.add_argument("--fail-on", type=_conditions, default=default, metavar="A,B", help=_conditions_help(fail_on))
    _threshold(command)


def _threshold(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--min-effect", type=share, default=MINIMUM_EFFECT, metavar="X", help="smallest change that counts (0.05)"
    )


def _conditions(text: str) -> tuple[str, ...]:
    return () if text == "none" else names(tuple(CONDITIONS))(text)


def _conditions_help(default: str) -> str:
    listed = "; ".join(f"{name}: {meaning}" for name, meaning in CONDITIONS.items())
    return f"exit with 1 if … {listed}; none (default: {default})"


def _outputs(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--metrics",
        type=names(tuple(METRICS)),
        default=DEFAULT,
        metavar="A,B",
        help=f"columns: {', '.join(METRICS)} (default: {','.join(DEFAULT)})",
    )
    command.add_argument("--json", metavar="FILE", help=f"the run itself ({_STANDARD})")
    command.add_argument("--html", metavar="FILE", help="one file with plots")
    command.add_argument("--csv", metavar="FILE", help="one line a case and backend")
    command.add_argument("--markdown", metavar="FILE", help="for a pull request")
