"""Finds the config of a bound kernel: cached, the fastest of those given, or searched for."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from helion_autotune import Budget, Cache, CacheKey, Entry, Observer, Result, point_key, warm_starts

from .. import exc
from ..config import Config, as_config
from ..lower.space import to_point
from ..settings import assert_cache_hit, skip_cache
from . import effort, plugins
from .key import cache_key, device_name, versions
from .measurer import GpuMeasurer, Measurer, device_index
from .problem import Problem
from .search import Plan, run
from .workers import compilers

if TYPE_CHECKING:
    from helion_autotune import WorkerPool

    from ..runtime.specialization import Specialization
    from ..runtime.targets import Target

log = logging.getLogger(__name__)

_WAIT_SECONDS = 600.0  # for another process that tunes the same kernel


class Tuner:
    """Finds the config of one bound kernel for arguments like `args` on `target`.

    `measurer` times candidates (default: on the device of the arguments); `observers` watch the search.
    """

    def __init__(
        self, bound: Specialization, args: Sequence[Any], target: Target, measurer: Measurer | None = None,
        observers: Sequence[Observer] = (),
    ) -> None:  # fmt: skip
        self.bound, self.args, self.target = bound, args, target
        self.settings = bound.kernel.settings
        self.result: Result | None = None
        """The last search, if there was one."""
        self._measurer, self._observers = measurer, list(observers)
        self._cache: Cache | None = None if skip_cache() else plugins.cache(self.settings.autotune_cache)

    # --- what callers want

    def best(self, force: bool = False) -> Config:
        """The best config there is: cached, or searched for. Raises `CacheMissed` where a hit is demanded."""
        key = self._key(self._search_parts())
        if not force and (found := self._cached(key)) is not None:
            return found
        with self._alone(key) as waited:
            if waited and not force and (found := self._cached(key)) is not None:
                return found
            return self._searched(key, force)

    def fastest_given(self, configs: Sequence[Any]) -> Config:
        """The fastest of `configs`; times that are cached are not taken again."""
        for config in configs:
            self.bound.spec_for(self.target).normalize(as_config(config))  # before any work: mistakes are the user's
        times = self.times_of(configs)
        timed = [(ms, k) for k, ms in enumerate(times) if ms is not None]
        if not timed:
            raise exc.NoWorkingConfig(kernel=self.bound.kernel.name, reason=self._failures())
        return as_config(configs[min(timed)[1]])

    def times_of(self, configs: Sequence[Any]) -> list[float | None]:
        """Milliseconds of each config, None for one that does not work."""
        spec = self.bound.spec_for(self.target)
        wanted = [point_key(to_point(spec, as_config(c))) for c in configs]
        key = self._key({"configs": "given"})
        record = self._cache.get(key) if self._cache is not None else None
        known = [e.to_trial() for e in record.entries if e.milliseconds is not None] if record is not None else []
        times = {t.key: t.milliseconds for t in known}
        if not set(wanted) <= set(times):
            known = [t for t in known if t.key in set(wanted)]
            with self._running() as (problem, pool, measurer):
                space, points = problem.given(configs)
                strategy = plugins.strategy("finite")(space, points=points)  # type: ignore[call-arg]
                plan = Plan(space, strategy, Budget(), known, observers=self._observers)
                self.result = run(problem, plan, pool, measurer, self.settings)
            times = _final_times(self.result)
            self._keep(key, self.result)
        return [times.get(k) for k in wanted]

    # --- cache

    def _search_parts(self, effort_name: str | None = None) -> dict[str, Any]:
        pinned = Config(**self.settings.autotune_config_overrides).to_dict()
        return {"configs": "all", "effort": effort_name or self._effort, "pinned": pinned}

    @property
    def _effort(self) -> str:
        return self.settings.autotune_effort if self.settings.autotune_effort in effort.SECONDS else "full"

    def _key(self, search: dict[str, Any]) -> CacheKey:
        return cache_key(self.bound, self.args, self.target, search)

    def _cached(self, key: CacheKey) -> Config | None:
        """The cached config, also if more effort than asked for went into it. Raises `CacheMissed` where demanded."""
        if self._cache is not None:
            keys = [key] if self._effort == "full" else [self._key(self._search_parts("full")), key]
            for candidate in keys:
                record = self._cache.get(candidate)
                if record is not None and record.winner is not None:
                    config = self._legal(record.winner.point)
                    if config is not None:
                        log.info("%s: config from the cache %s", self.bound.kernel.name, self._cache.describe())
                        return config
            log.info("%s: %s", self.bound.kernel.name, self._cache.explain(key))
        if assert_cache_hit():
            text = self._cache.explain(key) if self._cache is not None else "HELION_SKIP_CACHE is set"
            raise exc.CacheMissed(kernel=self.bound.kernel.name, explanation=text)
        return None

    def _legal(self, point: Any) -> Config | None:
        try:
            return self.bound.spec_for(self.target).normalize(Config(**point))
        except (exc.Base, TypeError) as error:
            log.warning("%s: the cached config is not legal here: %s", self.bound.kernel.name, error)
            return None

    def _keep(self, key: CacheKey, result: Result) -> None:
        if self._cache is None or not self._cache.writable or result.milliseconds is None:
            return
        provenance = {
            "device": device_name(self.bound.device), **versions(), "seconds": round(result.statistics.seconds, 1),
            "stopped": result.stopped,
        }  # fmt: skip
        times = _final_times(result)
        best = point_key(result.point)
        entries = []
        for trial in result.trials:
            entry = Entry.from_trial(
                trial, winner=trial.key == best, provenance=provenance if trial.key == best else {}
            )
            if trial.ok and trial.key in times:
                entry = replace(entry, milliseconds=times[trial.key])
            entries.append(entry)
        self._cache.put(key, entries)

    # --- searching

    def _searched(self, key: CacheKey, force: bool) -> Config:
        with self._running() as (problem, pool, measurer):  # processes start while the search is prepared
            space = problem.space(self.settings.autotune_config_overrides, self.settings.autotune_seed_configs)
            if self._cache is not None:
                starts = warm_starts(
                    self._cache, key, space, same=["source"], repair=lambda p: problem.repaired(p, space)
                )
                space = space.seeded(starts) if starts else space
            strategy = plugins.strategy(self.settings.autotuner)(space, seed=self.settings.autotune_random_seed)
            spent = effort.budget(self.settings, self.bound.program)
            journal = self._beside_cache(key, ".jsonl")
            plan = Plan(
                space, strategy, spent, journal=journal, identity={"key": key.digest, "force": force},
                observers=self._observers,
            )  # fmt: skip
            self.result = result = run(problem, plan, pool, measurer, self.settings)
            if result.milliseconds is None:
                log.warning("%s: no config could be measured; the default is used", self.bound.kernel.name)
                return self.bound.default_config(self.target)
            if result.stopped == "interrupted":  # the journal stays: the next process goes on from there
                log.info("%s: what the interrupted search found is for this process alone", self.bound.kernel.name)
            else:
                self._keep(key, result)
            return problem.config(result.point)

    @contextlib.contextmanager
    def _running(self) -> Iterator[tuple[Problem, WorkerPool, Measurer]]:
        """The problem, and the processes that compile and measure its candidates."""
        timeout, jobs = self.settings.autotune_compile_timeout, self.settings.autotune_precompile_jobs
        problem = Problem(self.bound, self.args, self.target)
        try:
            with compilers(jobs, timeout) as pool, self._measuring(problem) as measurer:
                yield problem, pool, measurer
        finally:
            problem.close()

    @contextlib.contextmanager
    def _measuring(self, problem: Problem) -> Iterator[Measurer]:
        if self._measurer is not None:
            yield self._measurer
            return
        isolate = not problem.effects.by_address
        measurer = GpuMeasurer(device_index(self.bound.device), self.settings.autotune_accuracy_check, isolate)
        try:
            yield measurer
        finally:
            measurer.close()

    def _failures(self) -> str:
        groups = self.result.statistics.failures if self.result is not None else ()
        return "; ".join(f"{g.count} {g.status}: {g.example}" for g in groups) or "all of them failed before"

    # --- beside the cache: one search at a time, and what it has measured so far

    def _beside_cache(self, key: CacheKey, suffix: str) -> Path | None:
        if self._cache is None:
            return None
        path = plugins.cache_root() / "running" / f"{key.digest}{suffix}"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            log.info("no journal is kept: %s", error)
            return None
        return path

    @contextlib.contextmanager
    def _alone(self, key: CacheKey) -> Iterator[bool]:
        """Lets one process at a time tune this; gives whether another one did so meanwhile."""
        path = self._beside_cache(key, ".tuning")
        lock = FileLock(path) if path is not None else None
        waited = False
        if lock is not None:
            try:
                lock.acquire(timeout=0)
            except Timeout:
                log.info("%s: another process tunes it; waiting for its result", self.bound.kernel.name)
                waited = True
                with contextlib.suppress(Timeout):
                    lock.acquire(timeout=_WAIT_SECONDS)
            except OSError as error:
                log.info("no lock: %s", error)
        try:
            yield waited
        finally:
            if lock is not None and lock.is_locked:
                lock.release()


def _final_times(result: Result) -> dict[str, float | None]:
    """Milliseconds by point; finalists have those of the play-off."""
    times = {t.key: t.milliseconds for t in result.trials if t.ok}
    times.update({point_key(point): ms for point, ms in result.play_off if ms is not None})
    return times
