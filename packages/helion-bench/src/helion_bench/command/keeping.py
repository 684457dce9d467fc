"""What is measured so far, written while the run goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from helion_bench.results.errors import ResultsError
from helion_bench.results.model import CaseKey, Cell, Run
from helion_bench.results.store import Store

_SHARE = 0.05  # of the time that writing may take


class Keeper:
    """Keeps the cells of the run that was `begun`, so that a process that is killed loses little.

    A disk that is full ends no run: `warn` is told once, and `failure` holds the error until something is kept again.
    """

    def __init__(self, store: Store, begun: Run, warn: Callable[[str], None]) -> None:
        self._store, self._begun, self._warn = store, begun, warn
        self._cells: dict[tuple[CaseKey, str], Cell] = {}
        self._next = 0.0
        self._warned = False
        self.failure: ResultsError | None = None

    def add(self, cell: Cell) -> None:
        """One more cell is measured."""
        self._cells[cell.key] = cell
        begin = time.monotonic()
        if begin >= self._next:
            self.flush()
            end = time.monotonic()
            self._next = end + (end - begin) / _SHARE

    def flush(self) -> None:
        """Write all cells there are, if any."""
        if self._cells:
            self.keep(self._begun.with_cells(self._cells.values()))

    def keep(self, run: Run) -> Path | None:
        """Write `run`; None where that failed."""
        try:
            path = self._store.put(run)
        except ResultsError as error:
            self.failure = error
            if not self._warned:
                self._warn(f"{error}: nothing is kept until that can be written again")
            self._warned = True
            return None
        self.failure = None
        return path
