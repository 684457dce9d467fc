"""Run every example of helion-core on one device and compare each case with its reference in float64.

Usage: `python tools/run_examples.py [--device cuda] [--typical] [example ...]`

Without `--device` that is the GPU, or the CPU through Triton's interpreter where there is none. Prints one table:
example, case, dtype, ok or what went wrong, the largest error against what is allowed, and the seconds of the call
with its compilation. Exits with 1 if any case is wrong or fails.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch

EXAMPLES = Path(__file__).parents[1] / "packages" / "helion-core" / "examples"
sys.path.insert(0, str(EXAMPLES))

import _harness as harness  # noqa: E402 - a file beside the examples

LINE = "{:22} {:48} {:9} {:6} {:>8} {:>8} {:>8}"


class Row(NamedTuple):
    """One case; `problem` is empty where it is right."""

    example: str
    case: str
    dtype: str
    problem: str
    outcome: harness.Outcome | None

    def text(self) -> str:
        state = "ok" if not self.problem else "ERROR"
        if self.outcome is None:
            return f"{LINE.format(self.example, self.case, self.dtype, state, '-', '-', '-')} {self.problem}"
        error, allowed = f"{self.outcome.error:.1e}", f"{self.outcome.tolerance:.0e}"
        numbers = (error, allowed, f"{self.outcome.seconds:.2f}")
        return f"{LINE.format(self.example, self.case, self.dtype, state, *numbers)} {self.problem}".rstrip()


def rows(name: str, device: str, what: str) -> Iterator[Row]:
    """The cases of one example in all its dtypes; failures of any kind become rows."""
    module = harness.load(name)
    for dtype in harness.dtypes(module):
        short = str(dtype).removeprefix("torch.")
        try:
            cases = harness.make(module, device, dtype, what)
        except Exception as error:
            yield Row(name, "(inputs)", short, _line(error), None)
            continue
        for case in cases:
            try:
                outcome = harness.check(module, case)
                yield Row(name, case.name, short, "" if outcome.ok else "wrong result", outcome)
            except Exception as error:
                yield Row(name, case.name, short, _line(error), None)


def _line(error: Exception) -> str:
    """The first line of an error, with its class."""
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:200]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--typical", action="store_true", help="sizes for a GPU instead of the small ones of the tests")
    parser.add_argument("examples", nargs="*", help="file names without .py (default: all)")
    options = parser.parse_args()
    where = torch.cuda.get_device_name() if options.device.startswith("cuda") else "Triton's interpreter on the CPU"
    print(f"{where}, torch {torch.__version__}")
    print(LINE.format("example", "case", "dtype", "state", "error", "allowed", "seconds"))
    start, found = time.perf_counter(), []
    for name in options.examples or harness.names():
        for row in rows(name, options.device, "typical" if options.typical else "cases"):
            found.append(row)
            print(row.text(), flush=True)
    failed = sum(bool(row.problem) for row in found)
    examples = len({row.example for row in found})
    print(f"{examples} examples, {len(found)} cases, {failed} failed, {time.perf_counter() - start:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
