"""HELION_LOGS: which loggers of this package write to stderr.

`all` shows INFO of everything, `+all` DEBUG; a comma-separated list names modules, each with an optional `+`:
`helion.tuning,+helion.runtime.kernel`.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from . import exc
from .settings import log_spec

_FORMAT = "[%(levelname)s %(name)s] %(message)s"


class _Handler(logging.StreamHandler):
    """Ours, so that setting up twice does not print twice; writes to whatever stderr is at the time."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self.setFormatter(logging.Formatter(_FORMAT))

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


def parse(text: str) -> dict[str, int]:
    """Levels by logger name."""
    levels = {}
    for part in filter(None, map(str.strip, text.split(","))):
        name = part.lstrip("+")
        levels["helion" if name == "all" else name] = logging.DEBUG if part.startswith("+") else logging.INFO
    return levels


def set_up(text: str | None = None) -> None:
    """Shows what `text` (default: HELION_LOGS) asks for; an empty text changes nothing.

    Warns (`Misspelt`) of a name that is no module of ours.
    """
    for name, level in parse(log_spec() if text is None else text).items():
        if not _exists(name):
            problem = f"names {name!r}, which is no module of helion"
            instead = "write all, +all, or names of modules such as helion.tuning,+helion.runtime.kernel"
            exc.warn(exc.Misspelt(variable="HELION_LOGS", problem=problem, instead=instead), ())
        logger = logging.getLogger(name)
        logger.setLevel(level)
        if not any(isinstance(h, _Handler) for h in _handlers(logger)):
            logger.addHandler(_Handler())


def _exists(name: str) -> bool:
    """Whether it names helion, a module in it (looked up as a file: nothing is imported), or one of its sisters."""
    first, *rest = name.split(".")
    if first != "helion":
        return first in ("helion_autotune", "helion_kernels", "helion_bench")
    path = Path(__file__).parent.joinpath(*rest)
    return path.is_dir() or path.with_suffix(".py").is_file()


def _handlers(logger: logging.Logger | None) -> list[logging.Handler]:
    """Those of a logger and of all above it."""
    found: list[logging.Handler] = []
    while logger is not None:
        found += logger.handlers
        logger = logger.parent
    return found
