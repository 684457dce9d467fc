"""Compare strategies: quality against evaluations, over problems and seeds. ``python -m
helion_autotune.testing.compare``.

Quality is the true time of the best point by measurement, over the problem's optimum; 1.00 is perfect. Measurements
are noisy, as on a device, so a strategy also pays for believing a lucky one.
"""

from __future__ import annotations

import argparse
import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from helion_autotune.budget import Budget
from helion_autotune.evaluate.inline import InlineEvaluator
from helion_autotune.observer import Observer
from helion_autotune.session import Session
from helion_autotune.testing.landscapes import standard_landscapes
from helion_autotune.testing.recorded import load_landscape
from helion_autotune.tuning import make_strategy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from helion_autotune.strategies.base import Strategy
    from helion_autotune.testing.landscapes import Landscape
    from helion_autotune.trial import Trial

CHECKPOINTS = (50, 100, 200, 400)
CLOSE = 1.03
OURS = ("random", "differential_evolution", "pattern", "surrogate", "guided")


@dataclass(frozen=True)
class Run:
    """One strategy on one problem with one seed.

    ``quality[i]`` is time over optimum after ``CHECKPOINTS[i]`` evaluations, ``close_after`` the evaluations until
    it was within 3 % (None: never), ``failed`` the share of evaluations that failed.
    """

    strategy: str
    landscape: str
    seed: int
    quality: tuple[float, ...]
    close_after: int | None
    failed: float


class _Curve(Observer):
    """The true quality of the best so far after each evaluation."""

    def __init__(self, landscape: Landscape) -> None:
        self._landscape = landscape
        self.values: list[float] = []

    def finished(self, trial: Trial, best: Trial | None, fraction: float | None, seconds: float) -> None:
        true = math.inf if best is None else self._landscape.cost(best.point)
        self.values.append(true / self._landscape.optimum)

    def after(self, evaluations: int) -> float:
        """Quality after so many evaluations; the last one if the run was shorter."""
        return self.values[min(evaluations, len(self.values)) - 1]


def run_one(strategy: str | type[Strategy], landscape: Landscape, seed: int, evaluations: int) -> Run:
    """One run of ``evaluations`` points, measured one at a time."""
    rng = np.random.default_rng([seed, 99])
    searcher = make_strategy(strategy, landscape.space, seed=seed)
    curve = _Curve(landscape)
    evaluator = InlineEvaluator(lambda point: landscape.measure(point, rng))
    session = Session(evaluator, searcher, budget=Budget(configs=evaluations), observers=[curve], finalists=0)
    statistics = session.run().statistics
    close = next((i + 1 for i, value in enumerate(curve.values) if value <= CLOSE), None)
    name = strategy if isinstance(strategy, str) else strategy.name
    quality = tuple(curve.after(n) for n in CHECKPOINTS if n <= evaluations)
    return Run(name, landscape.name, seed, quality, close, statistics.failed / max(1, statistics.configs))


def compare_strategies(
    strategies: Sequence[str | type[Strategy]] = OURS,
    landscapes: Sequence[Landscape] | None = None,
    seeds: int = 3,
    evaluations: int = 400,
) -> list[Run]:
    """All strategies on all problems with seeds 0..``seeds``-1."""
    problems = standard_landscapes() if landscapes is None else list(landscapes)
    return [run_one(s, p, seed, evaluations) for s in strategies for p in problems for seed in range(seeds)]


def summary_rows(runs: Sequence[Run]) -> list[list[str]]:
    """A row per strategy: mean quality at each checkpoint, worst run, evaluations to within 3 %, how often."""
    rows = []
    for name in dict.fromkeys(run.strategy for run in runs):
        mine = [run for run in runs if run.strategy == name]
        means = [f"{statistics.fmean(run.quality[i] for run in mine):.3f}" for i in range(len(mine[0].quality))]
        close = [run.close_after for run in mine if run.close_after is not None]
        median = f"{statistics.median(close):.0f}" if close else "-"
        worst = f"{max(run.quality[-1] for run in mine):.3f}"
        rows.append([name, *means, worst, median, f"{len(close)}/{len(mine)}"])
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m helion_autotune.testing.compare", description=__doc__)
    parser.add_argument("strategies", nargs="*", default=list(OURS), help="names; all of ours if none are given")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--shapes", type=int, default=3, help="problems of each kind")
    parser.add_argument("--recorded", nargs="*", default=[], metavar="FILE", help="recorded problems instead")
    parser.add_argument("--evaluations", type=int, default=400)
    options = parser.parse_args(arguments)
    problems = [load_landscape(path) for path in options.recorded] or standard_landscapes(options.shapes)
    runs = compare_strategies(options.strategies, problems, options.seeds, options.evaluations)
    _print(runs, options.evaluations)


def _print(runs: Sequence[Run], evaluations: int) -> None:
    from rich.console import Console
    from rich.table import Table

    problems, seeds = len({r.landscape for r in runs}), len({r.seed for r in runs})
    table = Table(title=f"time / optimum, mean of {problems} problems x {seeds} seeds")
    for title in ("strategy", *(f"@{n}" for n in CHECKPOINTS if n <= evaluations), "worst", "evals to 3 %", "reached"):
        table.add_column(title, justify="left" if title == "strategy" else "right")
    for row in summary_rows(runs):
        table.add_row(*row)
    Console().print(table)


if __name__ == "__main__":
    main()
