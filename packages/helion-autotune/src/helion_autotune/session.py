"""One tuning run: asks a strategy, keeps an evaluator busy, watches the budget, always knows the best point so
far."""

from __future__ import annotations

import math
import time
import warnings
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from typing import TYPE_CHECKING

from helion_autotune.budget import Budget
from helion_autotune.errors import StrategyStalled
from helion_autotune.evaluate.protocol import Best
from helion_autotune.points import Point, point_key
from helion_autotune.result import Result
from helion_autotune.summary import summarise
from helion_autotune.trial import Status, Trial, failed_trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from helion_autotune.evaluate.protocol import Evaluator
    from helion_autotune.observer import Observer
    from helion_autotune.strategies.base import Strategy

_TICK_SECONDS = 0.5
_REPEATS_MEAN_EXHAUSTED = 500


class Session:
    """Ties space, strategy, evaluator and budget together; :meth:`run` does the work, once.

    The default point is settled first (unless the strategy has a list of its own), so that from then on the best so
    far is never worse than the default. ``known`` trials are told to the strategy without evaluating them again: when
    it asks for them, the others at the end (unless it has a list of its own), so that none of them is lost.
    ``finalists`` points are measured against each other at the end (0 or 1: no play-off).
    """

    def __init__(
        self,
        evaluator: Evaluator,
        strategy: Strategy,
        *,
        budget: Budget | None = None,
        observers: Sequence[Observer] = (),
        known: Iterable[Trial] = (),
        seconds_spent: float = 0.0,
        finalists: int = 5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.space = strategy.space
        self.strategy = strategy
        self.trials: dict[str, Trial] = {}
        self.best: Trial | None = None
        """The best trial so far, None until the default point is settled."""
        self._evaluator = evaluator
        self._budget = budget or Budget()
        self._observers = list(observers)
        self._known = {t.key: t for t in known}
        self._resumed = 0
        self._clock = clock
        self._start = clock() - seconds_spent
        self._finalists = finalists
        self._shared_best = Best()
        self._flight: dict[Future[Trial], Point] = {}
        self._first: Future[Trial] | None = None
        self._waiting: dict[str, int] = {}
        self._repeats = 0

    @property
    def seconds(self) -> float:
        """Wall clock since the start, earlier parts of a resumed run included."""
        return self._clock() - self._start

    def run(self) -> Result:
        """Search until the strategy is done or the budget ends; Ctrl-C ends it early and keeps the best.

        A second Ctrl-C, or one before anything was measured, is raised to the caller.
        """
        try:
            self._notify("started", self.strategy.describe())
            stopped = self._run_search()
            play_off = self._play_off() if stopped != "interrupted" else []
            result = self._result(stopped, play_off)
            self._notify("ended", result)
            return result
        finally:
            while self._observers:
                self._tell(self._observers.pop(0), "close")

    def _run_search(self) -> str:
        try:
            stopped = self._search()
        except KeyboardInterrupt:
            self._settle_done({f for f in self._flight if f.done()})
            self._evaluator.cancel()
            self._settle_known()
            if self.best is None:
                raise
            return "interrupted"
        self._evaluator.cancel()
        self._settle_known()
        return stopped

    def _search(self) -> str:
        if self.strategy.starts_with_default:
            self._begin(self.space.default())
            self._first = next(iter(self._flight), None)
        while True:
            stopped = self._budget.exhausted_by(self.seconds, len(self.trials))
            if stopped and (self.trials or not self._flight):
                self._settle_done({f for f in self._flight if f.done()})
                return stopped
            if not stopped:
                self._fill()
            if self._flight:
                self._collect()
            elif self.strategy.done or self._repeats >= _REPEATS_MEAN_EXHAUSTED:
                return "done"

    def _fill(self) -> None:
        """Ask until the evaluator is busy, the strategy has nothing, or the budget of points is in flight."""
        while not self.strategy.done and self._repeats < _REPEATS_MEAN_EXHAUSTED:
            room = max(1, self._evaluator.capacity) - len(self._flight)
            if self._budget.configs is not None:
                room = min(room, self._budget.configs - len(self.trials) - len(self._flight))
            if room <= 0:
                return
            points = self.strategy.ask(room)
            if not points:
                if not self._flight and not self.strategy.done:
                    raise StrategyStalled(
                        f"{self.strategy.name} is not done, but proposes nothing and waits for nothing"
                    )
                return
            for point in points:
                self._begin(point)

    def _begin(self, point: Point) -> None:
        """Start one evaluation, or answer from what is known."""
        self.space.validate(point)
        key = point_key(point)
        if key in self._waiting:
            self._waiting[key] += 1
        elif key in self.trials:
            self._repeats += 1
            self.strategy.tell(self.trials[key])
        elif key in self._known:
            self._resumed += 1
            self._settle(self._known.pop(key))
        else:
            self._repeats = 0
            self._notify("submitted", point, key)
            self._waiting[key] = 1
            self._flight[self._submitted(point)] = point

    def _submitted(self, point: Point) -> Future[Trial]:
        try:
            return self._evaluator.submit(point, self._shared_best)
        except Exception as error:  # counts as one in the future
            broken: Future[Trial] = Future()
            broken.set_exception(error)
            return broken

    def _collect(self) -> None:
        """Wait for at least one result, but not past the budget, and settle all that are there.

        Until the default is settled, everything else waits: nobody shall see a best that is worse than the default.
        """
        timeout = _TICK_SECONDS
        left = math.inf if self._budget.seconds is None else self._budget.seconds - self.seconds
        if left > 0.0:  # past it, the default is waited for
            timeout = min(timeout, left)
        awaited = [self._first] if self._first is not None else list(self._flight)
        done, _ = wait(awaited, timeout=timeout, return_when=FIRST_COMPLETED)
        if self._first in done:
            self._first = None
        self._settle_done(done)

    def _settle_done(self, done: set[Future[Trial]]) -> None:
        for future in [f for f in self._flight if f in done]:
            point = self._flight.pop(future)
            asked = self._waiting.pop(point_key(point), 1)
            trial = _outcome(future, point)
            self._settle(trial)
            for _ in range(asked - 1):
                self.strategy.tell(trial)

    def _settle_known(self) -> None:
        """Takes in the known trials that nobody asked for again: one of them may be the best."""
        known, self._known = self._known, {}
        for trial in known.values() if self.strategy.starts_with_default else ():
            if not self.space.check(trial.point):
                self._resumed += 1
                self._settle(trial)

    def _settle(self, trial: Trial) -> None:
        is_default = not self.trials and self.strategy.starts_with_default
        self.trials[trial.key] = trial
        if trial.ok and (self.best is None or trial.cost < self.best.cost):
            self.best = trial
            self._shared_best.milliseconds = trial.cost
        self.strategy.tell(trial)
        fraction = self._budget.fraction(self.seconds, len(self.trials))
        self._notify("finished", trial, self.best, fraction)
        if is_default and not trial.ok:
            self._notify("warning", f"the default config failed ({trial.status}): {trial.message}")
        for milestone in self.strategy.milestones():
            self._notify("milestone", milestone)

    def _play_off(self) -> list[tuple[Point, float | None]]:
        points = self.strategy.finalists(self._finalists) if self._finalists > 1 else []
        if len(points) < 2:
            return []
        try:
            times = self._evaluator.measure_interleaved(points)
            return list(zip(points, [_time(ms) for ms in times], strict=True))
        except (NotImplementedError, KeyboardInterrupt):
            return []
        except Exception as error:  # by then everything is measured, which must not be lost
            self._notify("warning", f"the best configs were not measured against each other: {_text(error)}")
            return []

    def _result(self, stopped: str, play_off: list[tuple[Point, float | None]]) -> Result:
        point, milliseconds = self.space.default(), None
        if self.best is not None:
            point, milliseconds = self.best.point, self.best.milliseconds
        timed = [(ms, i) for i, (_, ms) in enumerate(play_off) if ms is not None]
        if timed:
            milliseconds, winner = min(timed)
            point = play_off[winner][0]
        trials = list(self.trials.values())
        statistics = summarise(trials, self.seconds, self._resumed)
        return Result(point, milliseconds, trials, statistics, stopped, tuple(play_off))

    def _notify(self, event: str, *details: object) -> None:
        for observer in list(self._observers):
            self._tell(observer, event, *details, self.seconds)

    def _tell(self, observer: Observer, event: str, *details: object) -> None:
        """What an observer does wrong costs the run that observer."""
        try:
            getattr(observer, event)(*details)
        except Exception as error:
            warnings.warn(f"{type(observer).__name__}: {_text(error)}; the run goes on without it", stacklevel=2)
            if observer in self._observers:
                self._observers.remove(observer)
                self._tell(observer, "close")


def _outcome(future: Future[Trial], point: Point) -> Trial:
    try:
        trial = future.result()
        if trial.key != point_key(point) or (trial.status is Status.OK and not trial.ok):
            raise TypeError(f"the evaluator gave {trial!r}, which has no time or is of another point")
        return trial
    except (Exception, CancelledError) as error:  # an evaluator's defect must not cost the run its results
        return failed_trial(point, error)


def _time(milliseconds: float | None) -> float | None:
    return milliseconds if milliseconds is not None and 0.0 <= milliseconds < math.inf else None


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
