"""A live display on a terminal: the printed lines, and below them a bar with the best time so far."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helion_autotune.report import Reporter

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from helion_autotune.points import Point
    from helion_autotune.result import Result
    from helion_autotune.trial import Trial


class TerminalProgress(Reporter):
    """A reporter whose lines scroll above a bar. ``console`` defaults to stderr."""

    def __init__(
        self,
        show_point: Callable[[Point], str] = repr,
        show_hardcode: Callable[[Point], str] | None = None,
        console: Console | None = None,
    ) -> None:
        # here, so that importing the package does not pay for rich
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._console = console or Console(stderr=True)
        columns = (TextColumn("tuning"), BarColumn(), TextColumn("{task.fields[state]}"), TimeElapsedColumn())
        self._progress = Progress(*columns, console=self._console, transient=True)
        self._task = self._progress.add_task("tuning", total=None, state="")
        self._configs = self._failed = 0
        super().__init__(self._print, show_point, show_hardcode)

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def started(self, description: str, seconds: float) -> None:
        super().started(description, seconds)
        self._progress.start()

    def finished(self, trial: Trial, best: Trial | None, fraction: float | None, seconds: float) -> None:
        self._configs += 1
        self._failed += not trial.ok
        state = f"{self._configs} configs, {self._failed} failed"
        if best is not None:
            state += f", best {best.cost:.4f} ms"
        total = None if fraction is None else 1.0
        self._progress.update(self._task, completed=fraction or 0.0, total=total, state=state)

    def ended(self, result: Result, seconds: float) -> None:
        self._progress.stop()
        super().ended(result, seconds)

    def close(self) -> None:
        self._progress.stop()
