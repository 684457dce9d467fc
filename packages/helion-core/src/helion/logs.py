"""HELION_LOGS: which loggers of this package write to stderr.

`all` shows INFO of everything, `+all` DEBUG; a comma-separated list names modules, each with an optional `+`:
`helion.tuning,+helion.runtime.kernel`.
"""

from __future__ import annotations

import logging
import sys

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
    """Shows what `text` (default: HELION_LOGS) asks for; an empty text changes nothing."""
    for name, level in parse(log_spec() if text is None else text).items():
        logger = logging.getLogger(name)
        logger.setLevel(level)
        if not any(isinstance(h, _Handler) for h in _handlers(logger)):
            logger.addHandler(_Handler())


def _handlers(logger: logging.Logger | None) -> list[logging.Handler]:
    """Those of a logger and of all above it."""
    found: list[logging.Handler] = []
    while logger is not None:
        found += logger.handlers
        logger = logger.parent
    return found
