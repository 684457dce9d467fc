"""The command `helion-bench`, also `python -m helion_bench`.

Arguments come in as a list, so that tests and scripts call `main` without a shell; the exit status goes out (see
`helion_bench.command.exits`).
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape

from helion_bench.command.exits import FAILED, INTERRUPTED, REFUSED
from helion_bench.command.listing import list_command
from helion_bench.command.outputs import discard_standard, spare_standard
from helion_bench.command.parser import build_parser
from helion_bench.command.run import run_command
from helion_bench.command.stored import compare_command, report_command, save_command
from helion_bench.errors import InvalidRequest
from helion_bench.plugins import PluginWarning
from helion_bench.results.errors import ResultsError
from helion_bench.results.store import Store
from helion_bench.settings import results_folder

_STORED = {"list": list_command, "compare": compare_command, "report": report_command, "save": save_command}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (default: this process's) and return the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    arguments = build_parser().parse_args(words)
    spare_standard()
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warning(warnings.showwarning)
            store = Store(arguments.results or results_folder())
            if arguments.command == "run":
                return run_command(arguments, store, words)
            return _STORED[arguments.command](arguments, store)
    except (InvalidRequest, ResultsError) as error:
        Console(stderr=True).print(f"[bold red]error[/]: {escape(str(error))}", highlight=False, soft_wrap=True)
        return REFUSED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # of `| head`
        discard_standard()
        return FAILED


def _warning(others: Callable[..., None]) -> Callable[..., None]:
    """Shows what users are told of plug-ins without a place in our code, and all else as it was."""

    def show(message: Warning | str, category: type[Warning], *place: Any, **named: Any) -> None:
        if issubclass(category, PluginWarning):
            Console(stderr=True).print(f"[yellow]warning[/]: {escape(str(message))}", highlight=False, soft_wrap=True)
        else:
            others(message, category, *place, **named)

    return show


if __name__ == "__main__":
    sys.exit(main())
