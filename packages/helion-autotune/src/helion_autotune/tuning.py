"""The short way: tune a space with an evaluator and get the best point."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Any

from helion_autotune.budget import Budget, effort
from helion_autotune.errors import JournalBusy
from helion_autotune.journal import Journal
from helion_autotune.logfiles import CsvLog, TextLog
from helion_autotune.progress import TerminalProgress
from helion_autotune.report import Reporter
from helion_autotune.result import Result
from helion_autotune.session import Session
from helion_autotune.strategies import STRATEGIES
from helion_autotune.strategies.base import Strategy

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from helion_autotune.evaluate.protocol import Evaluator
    from helion_autotune.observer import Observer
    from helion_autotune.points import Point
    from helion_autotune.space.search_space import SearchSpace
    from helion_autotune.trial import Trial


def make_strategy(
    strategy: str | type[Strategy] | Strategy,
    space: SearchSpace,
    *,
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
) -> Strategy:
    """A strategy from its name, its class, or itself; ``options`` are its keywords.

    Raises UnknownName for a name that no installed package provides, ValueError for a made strategy that searches
    another space, or that ``options`` come too late for.
    """
    if isinstance(strategy, Strategy):
        if strategy.space is not space and strategy.space.fingerprint() != space.fingerprint():
            raise ValueError(f"{strategy.name} was made for another space than the one to search")
        if options:
            raise ValueError(f"{strategy.name} is made already: give its class or its name with options")
        return strategy
    cls = STRATEGIES.get(strategy) if isinstance(strategy, str) else strategy
    return cls(space, seed=seed, **dict(options or {}))


def print_line(line: str) -> None:
    """Write a line to stderr, where tuning reports go so that a program's output stays clean."""
    print(line, file=sys.stderr, flush=True)


def tune(
    space: SearchSpace,
    evaluator: Evaluator,
    strategy: str | type[Strategy] | Strategy = "guided",
    *,
    budget: Budget | str | None = None,
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
    journal: str | os.PathLike[str] | None = None,
    identity: Mapping[str, Any] | None = None,
    known: Iterable[Trial] = (),
    log: str | os.PathLike[str] | None = None,
    label: str = "",
    write: Callable[[str], None] | None = print_line,
    show_point: Callable[[Point], str] = repr,
    show_hardcode: Callable[[Point], str] | None = None,
    progress_bar: bool = False,
    finalists: int = 5,
    observers: Sequence[Observer] = (),
) -> Result:
    """Search ``space`` for the point that ``evaluator`` finds fastest.

    ``budget``: a Budget or the name of an effort (``none``, ``quick``, ``full``); None is ``full``, except that a
    strategy with a list of its own (``finite``) has no limit. ``options``: keywords of the strategy. ``journal``:
    path of a record that a killed run resumes from; ``identity`` names the problem in it. ``known``: trials not to
    be repeated, from a cache for instance. ``log``: path prefix of a CSV and a text log, which runs add to; ``label``
    says in them what is tuned.
    ``write`` takes the printed lines (None: silence); ``show_point`` and ``show_hardcode`` word them.
    ``progress_bar`` shows a live display if stderr is a terminal.

    The evaluator stays open. Ctrl-C ends the search and gives the best so far. Raises KeyboardInterrupt if nothing
    was measured by then, JournalMismatch if the journal is of another problem, and what the strategy raises: what was
    measured until then is in the journal.
    """
    searcher = make_strategy(strategy, space, seed=seed, options=options)
    spent = _budget(budget, searcher)
    record = _open_journal(journal, {"space": space.fingerprint(), **(identity or {})})
    watchers = list(observers)
    if write is not None:
        watchers.append(_reporter(write, show_point, show_hardcode, progress_bar))
    if log is not None:
        watchers += [CsvLog(log, label), TextLog(log, label, show_point, show_hardcode)]
    earlier = {t.key: t for t in known}
    if record is not None:
        earlier.update(record.trials)
        watchers.append(record)
    session = Session(
        evaluator,
        searcher,
        budget=spent,
        observers=watchers,
        known=earlier.values(),
        seconds_spent=record.seconds if record is not None else 0.0,
        finalists=finalists,
    )
    return session.run()


def _budget(budget: Budget | str | None, strategy: Strategy) -> Budget:
    if isinstance(budget, str):
        return effort(budget)
    if budget is None:
        return effort("full") if strategy.starts_with_default else Budget()
    return budget


def _reporter(
    write: Callable[[str], None],
    show_point: Callable[[Point], str],
    show_hardcode: Callable[[Point], str] | None,
    progress_bar: bool,
) -> Reporter:
    if progress_bar and write is print_line and sys.stderr.isatty():
        return TerminalProgress(show_point, show_hardcode)
    return Reporter(write, show_point, show_hardcode)


def _open_journal(path: str | os.PathLike[str] | None, identity: dict[str, Any]) -> Journal | None:
    if path is None:
        return None
    try:
        return Journal(path, identity)
    except (JournalBusy, OSError) as error:
        warnings.warn(f"tuning goes on without a journal: {error}", stacklevel=3)
        return None
