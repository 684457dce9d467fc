"""A CSV of every candidate and a text log of every line, for those who ask for them."""

from __future__ import annotations

import csv
import warnings
from pathlib import Path
from typing import IO, TYPE_CHECKING

from helion_autotune.observer import Observer
from helion_autotune.points import canonical
from helion_autotune.report import Reporter
from helion_autotune.summary import first_line

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from helion_autotune.points import Point
    from helion_autotune.trial import Trial

COLUMNS = ("seconds", "key", "status", "milliseconds", "compile_seconds", "point", "facts", "message", "label")


class LogFile:
    """An append-only text file that gives up with one warning when the disk is full.

    ``empty``: whether nothing was in it, so that a run adds to what other runs of the program, or earlier ones, wrote.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.empty = True
        self._file: IO[str] | None = None
        self._guarded(self._open)

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("a", newline="", encoding="utf-8")
        self.empty = self._file.tell() == 0

    def write(self, text: str) -> None:
        """Append text and flush it."""
        file = self._file
        if file is not None:
            self._guarded(lambda: (file.write(text), file.flush()))

    def close(self) -> None:
        """Close the file; later writes are dropped."""
        file, self._file = self._file, None
        if file is not None:
            self._guarded(file.close)

    def _guarded(self, action: Callable[[], object]) -> None:
        try:
            action()
        except OSError as error:
            warnings.warn(f"log {self.path}: {error}; the run goes on without it", stacklevel=3)
            self._file = None


class CsvLog(Observer):
    """``<prefix>.csv``: a row for every settled candidate, in order. ``label``: what is tuned."""

    def __init__(self, prefix: str | os.PathLike[str], label: str = "") -> None:
        self._label = label
        self._log = LogFile(Path(f"{prefix}.csv"))
        self._writer = csv.writer(self._log)
        if self._log.empty:
            self._writer.writerow(COLUMNS)

    def finished(self, trial: Trial, best: Trial | None, fraction: float | None, seconds: float) -> None:
        time = "" if trial.milliseconds is None else f"{trial.milliseconds:.6g}"
        row = [f"{seconds:.3f}", trial.key, trial.status, time, f"{trial.compile_seconds:.3f}"]
        row += [canonical(trial.point), canonical(trial.facts), first_line(trial.message), self._label]
        self._writer.writerow(row)

    def close(self) -> None:
        self._log.close()


class TextLog(Reporter):
    """``<prefix>.log``: the label, the printed lines, and one for every failing candidate with its whole message."""

    def __init__(
        self,
        prefix: str | os.PathLike[str],
        label: str = "",
        show_point: Callable[[Point], str] = repr,
        show_hardcode: Callable[[Point], str] | None = None,
    ) -> None:
        self._log = LogFile(Path(f"{prefix}.log"))
        if label:
            self._log.write(f"{label}\n")
        super().__init__(lambda line: self._log.write(line + "\n"), show_point, show_hardcode)

    def finished(self, trial: Trial, best: Trial | None, fraction: float | None, seconds: float) -> None:
        if not trial.ok:
            self._line(f"{trial.status}: {self._show_point(trial.point)}\n{trial.message}", seconds)

    def close(self) -> None:
        self._log.close()
