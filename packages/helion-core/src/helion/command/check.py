"""`python -m helion check FILE`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich import box
from rich.table import Table
from rich.text import Text

from .. import exc
from ..explain.show import console, instructions
from ..runtime.binaries.compile import CompileFacts
from ..runtime.targets import COMMON, Target, parse_target
from .arguments import describe_arguments, parse_dtype
from .files import Call, kernels, load_file, typical_calls

_DESCRIPTION = """\
Compiles every kernel of the files for the targets, without any GPU: the configs that a kernel was given, else its
default config. The files say how their kernels are called by a function `typical(device, dtype)` that yields pairs of a
function and its arguments; tensors have no data. Exits with 1 if something does not compile.
"""
_EXAMPLES = """\
examples:
  python -m helion check kernels.py
  python -m helion check kernels/*.py --target sm_90 --target gfx942 --dtype f16
"""


@dataclass(frozen=True)
class Row:
    """One kernel for one target; `error` where it does not compile."""

    file: str
    kernel: str
    arguments: str
    target: str
    facts: CompileFacts | None
    error: Exception | None


def add(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "check", help="whether the kernels of files compile", description=_DESCRIPTION, epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument(
        "--target", action="append", help=f"an architecture, may be repeated (default: {' '.join(COMMON)})"
    )
    parser.add_argument("--dtype", default="bf16", help="what `typical` is called with (default: bf16)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Prints one line per kernel and target, then the errors. Raises `UnknownTarget`, `CommandFailed`."""
    targets = [parse_target(name) for name in options.target or COMMON]
    dtype = parse_dtype(options.dtype)
    rows = [row for file in options.files for row in check_file(file, targets, dtype)]
    out = console()
    out.print(_table(rows))
    failed = [row for row in rows if row.error is not None]
    for row in failed:
        out.print(Text(f"\n{row.file}: {row.kernel}({row.arguments}) for {row.target}", style="bold"), soft_wrap=True)
        out.print(Text(str(row.error)), soft_wrap=True)
    out.print(Text(f"{len(rows) - len(failed)} of {len(rows)} compile"))
    return 1 if failed else 0


def check_file(path: Path, targets: list[Target], dtype: torch.dtype) -> Iterator[Row]:
    """Compiles the kernels that the file's typical calls reach, for each target; what the file raises becomes a row."""
    try:
        module = load_file(path)
        names = set(kernels(module))
    except Exception as error:
        yield Row(path.name, "(file)", "", "", None, error)
        return
    supported = getattr(module, "DTYPES", (dtype,))
    for target in targets:
        try:
            calls = typical_calls(module, dtype if dtype in supported else supported[-1], target)
        except Exception as error:
            yield Row(path.name, "(typical)", "", target.name, None, error)
            continue
        yield from (_check(path, call, config, target) for call in calls for config in _configs(call))
        for name in sorted(names - {call.bound.kernel.name for call in calls}):
            missing = exc.CommandFailed(problem=f"`typical` does not call `{name}`", instead="add a call of it")
            yield Row(path.name, name, "", target.name, None, missing)


def _configs(call: Call) -> list[Any]:
    return list(call.bound.kernel.configs) or [None]


def _check(path: Path, call: Call, config: Any, target: Target) -> Row:
    facts, error = None, None
    try:
        facts = call.bound.compile_for(target, config)
        if facts.shared_memory > target.shared_memory:
            raise exc.CommandFailed(
                problem=f"{facts.shared_memory} bytes of shared memory are needed, there are {target.shared_memory}",
                instead="choose smaller block sizes or fewer stages",
            )
    except Exception as failure:
        error = failure
    return Row(path.name, call.bound.kernel.name, describe_arguments(call.args), target.name, facts, error)


def _table(rows: list[Row]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("kernel", "target", ""):
        table.add_column(name, no_wrap=True)
    for name in ("registers", "spills", "shared"):
        table.add_column(name, justify="right")
    for name in ("matrix and TMA", "arguments"):
        table.add_column(name)
    several = len({row.file for row in rows}) > 1
    for row in rows:
        state = Text("ok", "green") if row.error is None else Text(getattr(row.error, "code", "ERROR"), "bold red")
        name = f"{row.file}:{row.kernel}" if several else row.kernel
        table.add_row(name, row.target, state, *_numbers(row), Text(row.arguments))
    return table


def _numbers(row: Row) -> tuple[str, ...]:
    facts = row.facts
    if facts is None:
        return ("", "", "", "")
    sizes = (facts.registers, facts.spills, facts.shared_memory)
    return (*map(str, sizes), instructions(facts.matrix_instructions))
