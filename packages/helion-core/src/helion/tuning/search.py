"""One run of the tuner over a problem: pool, measurer, strategy, journal, printed lines."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helion_autotune import Budget, Compiled, Observer, PipelineEvaluator, Result, SearchSpace, Strategy, Trial, tune
from helion_autotune.errors import JournalMismatch
from helion_autotune.tuning import print_line

from .. import exc
from ..config import Config
from ..settings import Settings, progress_wanted

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from .measurer import Measurer
    from .problem import Problem

log = logging.getLogger(__name__)

COMPILE = "helion.tuning.worker:compile"


@dataclass(frozen=True)
class Plan:
    """What to search and how much to spend. `journal`: where a killed run left what it had measured."""

    space: SearchSpace
    strategy: Strategy
    budget: Budget
    known: Sequence[Trial] = ()
    journal: Path | None = None
    identity: dict[str, Any] | None = None
    observers: Sequence[Observer] = ()


def run(problem: Problem, plan: Plan, compiler: Executor, measurer: Measurer, settings: Settings) -> Result:
    """Searches; what fails costs itself only. Raises KeyboardInterrupt if that comes before anything was measured."""
    default = plan.space.default()
    with contextlib.suppress(Exception):  # a default that cannot even be written down is reported by the search
        measurer.reference = problem.payload(default)  # type: ignore[attr-defined]

    def screened(compiled: Compiled) -> str | None:
        return None if compiled.point == default else problem.screen(compiled.facts)

    evaluator = PipelineEvaluator(
        prepare=problem.payload, compiler=compiler, compile=COMPILE, screen=screened, measure=measurer,
        interleave=measurer.interleave,
    )  # fmt: skip
    search = partial(
        tune, plan.space, evaluator, plan.strategy, budget=plan.budget, journal=plan.journal, identity=plan.identity,
        known=plan.known, log=settings.autotune_log, label=problem.label,
        write=print_line if _talks(settings) else None,
        show_point=lambda p: shown(problem.config(p)), show_hardcode=lambda p: hardcoded(problem.config(p)),
        progress_bar=progress_wanted(settings), observers=plan.observers,
    )  # fmt: skip
    try:
        try:
            result = search()
        except JournalMismatch as error:  # nothing has begun yet
            log.info("%s: that of a killed search with other demands, which is given up", error)
            _remove(plan.journal)
            result = search()
    finally:
        evaluator.close()
    if result.stopped != "interrupted":
        _remove(plan.journal)
    return result


def shown(config: Config) -> str:
    """A config as lines of progress show it."""
    return repr(config).removeprefix("helion.")


def hardcoded(config: Config) -> str:
    """The decorator that pins a config."""
    return f"@helion.kernel(config={config!r})"


def _talks(settings: Settings) -> bool:
    """Whether the level asked for lets progress through, which is of level INFO. Raises `InvalidSetting`."""
    level = settings.autotune_log_level
    number = int(level) if level.isdigit() else logging.getLevelName(level.upper())
    if not isinstance(number, int):
        raise exc.InvalidSetting(
            key="autotune_log_level", problem=f"there is no level {level!r}", allowed="e.g. INFO, WARNING, ERROR, or 30"
        )
    return number <= logging.INFO


def _remove(journal: Path | None) -> None:
    for path in (journal, journal.with_name(journal.name + ".lock")) if journal is not None else ():
        with contextlib.suppress(OSError):
            path.unlink()
