"""The command `helion-bench`, also `python -m helion_bench`.

Arguments come in as a list, so that tests and scripts call `main` without a shell; the exit status goes out. 0 is
success, 2 is a request that cannot be met, as argparse has it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from rich.console import Console

import helion_bench

NOT_YET = "holds no benchmark cases yet, so there is nothing to run"


def build_parser() -> argparse.ArgumentParser:
    """The whole command line, as data."""
    parser = argparse.ArgumentParser(
        prog="helion-bench", description="Compare Helion kernels with reference implementations."
    )
    parser.add_argument("--version", action="version", version=f"helion-bench {helion_bench.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    commands.add_parser("run", help="run benchmark cases (none in this version: says so and exits with 2)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (default: this process's) and return the exit status."""
    arguments = build_parser().parse_args(argv)
    Console(stderr=True).print(
        f"[bold red]error[/]: helion-bench {helion_bench.__version__} {NOT_YET} (command: {arguments.command})",
        highlight=False,
        soft_wrap=True,
    )
    return 2


if __name__ == "__main__":
    sys.exit(main())
