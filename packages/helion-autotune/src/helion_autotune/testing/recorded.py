"""Recorded runs as simulated objectives: what a device measured once, strategies can search again without it."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from helion_autotune.errors import CompileError
from helion_autotune.journal import read_trials
from helion_autotune.space.search_space import SearchSpace
from helion_autotune.testing.landscapes import Landscape
from helion_autotune.trial import NO_TIME, Trial

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from helion_autotune.points import Point

SCHEMA = 1
_NEAREST = 3


class RecordedLandscape(Landscape):
    """The trials of recorded runs.

    A point that was not recorded takes the distance-weighted mean (of log times) of the three nearest that worked,
    or fails if the nearest of all failed.
    """

    def __init__(self, name: str, space: SearchSpace, trials: Iterable[Trial], noise: float = 0.01) -> None:
        super().__init__(name, space, 0, noise)
        kept = [t for t in trials if not space.check(t.point)]
        if not any(t.ok for t in kept):
            raise ValueError(f"recorded landscape {name!r}: no recorded trial of this space worked")
        self._by_key = {t.key: t for t in kept}
        self._kept = list(self._by_key.values())
        self._x = np.stack([space.encode(t.point) for t in self._kept])
        self._log = np.array([np.log(max(t.cost, NO_TIME)) if t.ok else np.nan for t in self._kept])

    def milliseconds(self, point: Point) -> float:
        trial = self._by_key.get(Trial(point).key)
        if trial is not None:
            return _time_of(trial)
        gaps = np.sum((self._x - self.space.encode(point)) ** 2, axis=1)
        nearest = int(np.argmin(gaps))
        if not self._kept[nearest].ok:
            return _time_of(self._kept[nearest])
        worked = np.flatnonzero(~np.isnan(self._log))
        close = worked[np.argsort(gaps[worked], kind="stable")[:_NEAREST]]
        weights = 1.0 / (gaps[close] + 1e-3)
        return float(np.exp(weights @ self._log[close] / weights.sum()))

    @property
    def trials(self) -> list[Trial]:
        """What was recorded."""
        return list(self._kept)

    @property
    def optimum(self) -> float:  # type: ignore[override]
        """The best recorded time."""
        return min(t.cost for t in self._kept)

    def to_json(self) -> dict[str, Any]:
        """A JSON object that :func:`load_landscape` reads, small enough to check in."""
        trials = [[t.point, str(t.status), t.milliseconds] for t in self._kept]
        return {"schema": SCHEMA, "name": self.name, "space": self.space.to_json(), "trials": trials}


def _time_of(trial: Trial) -> float:
    if not trial.ok:
        raise CompileError(trial.message or str(trial.status))
    return trial.cost


def from_journal(path: str | os.PathLike[str], space: SearchSpace, name: str | None = None) -> RecordedLandscape:
    """The landscape that a journal recorded."""
    return RecordedLandscape(name or Path(path).stem, space, read_trials(Path(path)))


def load_landscape(path: str | os.PathLike[str]) -> RecordedLandscape:
    """Read a landscape from a JSON file, compressed if it ends in `.gz`; raises ValueError if it is none."""
    content = Path(path).read_bytes()
    try:
        data = json.loads(gzip.decompress(content) if Path(path).suffix == ".gz" else content)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: not compressed, or cut off ({error})") from error
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise ValueError(f"{path}: not a recorded landscape of schema {SCHEMA}")
    try:
        trials = [Trial(point, status, milliseconds) for point, status, milliseconds in data["trials"]]
        return RecordedLandscape(data["name"], SearchSpace.from_json(data["space"]), trials)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path}: damaged ({type(error).__name__}: {error})") from error
