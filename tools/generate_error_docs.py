"""Write `packages/helion-core/docs/errors.md` from the catalogue of errors and the table of mistakes.

Usage: `python tools/generate_error_docs.py [--check]`

For each class: its code, its templates, the shortest kernel of the table that raises it, and the message as printed.
With `--check` nothing is written, and the exit status is 1 where the file is out of date.
"""

from __future__ import annotations

import argparse
import inspect
import re
import sys
import textwrap
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "packages" / "helion-core"
TABLE = PACKAGE / "tests" / "errors"
TARGET = PACKAGE / "docs" / "errors.md"

INTRODUCTION = """\
# Errors and warnings

Every error derives from `helion.exc.Base`, a `RuntimeError`, and has a stable code. A message says what was found,
where (file, line, the source line with a caret below the expression) and what to write instead; the traceback ends at
that line. Exceptions of your own, in host or device code, stay what they are.

A warning is muted by its class or name, `@helion.kernel(ignore_warnings=[helion.exc.{example}])`, and all of them by
`helion.exc.BaseWarning`.

This page is written by `tools/generate_error_docs.py`.
"""
SECTIONS = {
    "HLN0": "The kernel function",
    "HLN1": "Tiles, shapes and memory",
    "HLN2": "Control flow and Python in device code",
    "HLN3": "Configs and compilation",
    "HLN4": "Warnings",
    "HLN5": "Export and the command line",
    "HLN9": "Defects",
}


def catalogue(root: Any) -> list[Any]:
    """`root`'s descendants by code."""
    found = [cls for child in root.__subclasses__() for cls in [child, *catalogue(child)]]
    return sorted(set(found), key=lambda cls: cls.code)


def example(function: Any) -> str:
    """The source of a mistake without its record."""
    text = textwrap.dedent(inspect.getsource(function))
    start = re.search(r"^(async )?def ", text, re.MULTILINE)
    assert start is not None
    return re.sub(r"  # (noqa|type|fmt).*", "", text[start.start() :]).rstrip()


def shown(case: Any) -> str:
    """The message as printed, as if the example stood alone in a file `kernel.py`; configs are left out."""
    error = case.provoke()
    lines, start = inspect.getsourcelines(case.function)
    before = start - 1 + next(k for k, line in enumerate(lines) if line.lstrip().startswith(("def ", "async def ")))
    place = error.location
    text = str(error).replace(place.show(), "@")
    moved = place.show()
    number, width = str(place.line - before), len(str(place.line))
    moved = re.sub(r"--> \S*/mistakes/\w+\.py:\d+", f"--> kernel.py:{number}", moved)
    moved = re.sub(rf"^ {place.line} \|", f" {number} |", moved, flags=re.MULTILINE)
    moved = re.sub(rf"^ {' ' * width} \|", f" {' ' * len(number)} |", moved, flags=re.MULTILINE)
    return re.sub(r"helion\.Config\(.*\)", "helion.Config(...)", text.replace("@", moved))


def entry(cls: Any, mistakes: list[Any]) -> str:
    """The part of the page on one class."""
    lines = [f"### {cls.code} `{cls.__name__}`", "", f"> {cls.message}"]
    if cls.hint:
        lines += [">", f"> help: {cls.hint}"]
    cases = [m for m in mistakes if m.error is cls]
    if cases:
        case = min(cases, key=lambda m: (len(example(m.function).splitlines()), len(example(m.function))))
        lines += ["", "```python", example(case.function), "```", "", "```text", shown(case), "```"]
    return "\n".join(lines)


def page() -> str:
    """The whole page."""
    sys.path.insert(0, str(TABLE))
    from mistakes import MISTAKES  # pyrefly: ignore

    from helion import exc

    warnings = [cls for cls in exc.warning_names().values() if cls is not exc.BaseWarning]
    parts = [INTRODUCTION.format(example=min(cls.__name__ for cls in warnings))]
    classes = [*catalogue(exc.Base), *sorted(warnings, key=lambda cls: cls.code)]
    for prefix, title in SECTIONS.items():
        parts.append(f"## {title}\n")
        parts += [entry(cls, MISTAKES) + "\n" for cls in classes if cls.code.startswith(prefix)]
    return "\n".join(parts)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    text = page()
    if parser.parse_args().check:
        current = TARGET.read_text() if TARGET.exists() else ""
        if current != text:
            print(f"{TARGET} is out of date: run python tools/generate_error_docs.py", file=sys.stderr)
        return int(current != text)
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
