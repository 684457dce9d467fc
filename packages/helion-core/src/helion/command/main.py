"""The command line: parses, runs one command, and shows errors of the catalogue without a traceback."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from .. import exc
from . import check, explain

_DESCRIPTION = """\
Looks at kernels without running them; no GPU is needed.

  python -m helion explain FILE:KERNEL   what a kernel computes, what may be chosen, the code, the cost
  python -m helion check FILE            whether all kernels of a file compile for the GPUs you name
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line `arguments` (default: those of the process); returns the exit status."""
    parser = argparse.ArgumentParser("helion", description=_DESCRIPTION, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in (explain, check):
        command.add(commands)
    options = parser.parse_args(arguments)
    try:
        return options.run(options)
    except exc.Base as error:
        print(error, file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader has seen enough
        sys.stderr.close()
        return 0
