"""An append-only record of a run: a killed run resumes from it, a finished one replays as a simulated objective.

One JSON object a line: a header that says which problem this is, then what began and what ended. Every line is one
``write``, so what was settled survives ``kill -9``; ``fsync`` (for power cuts) comes at most every
``sync_seconds``. Torn and garbled lines are dropped on reading, and those that no header says the problem of. What had
begun in each of three runs that died is taken for the killer and not tried again.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from helion_autotune.errors import JournalBusy, JournalMismatch
from helion_autotune.observer import Observer
from helion_autotune.points import canonical, point_key
from helion_autotune.trial import Status, Trial

if TYPE_CHECKING:
    from collections.abc import Iterator

    from helion_autotune.points import Point
    from helion_autotune.result import Result

SCHEMA = 1
_DEADLY_AFTER = 3


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects in a journal. Lines that are torn or garbled are passed over."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return
    for line in raw.split(b"\n"):
        try:
            data = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(data, dict):
            yield data


def recorded_trial(line: dict[str, Any]) -> Trial:
    """The trial in a line; raises KeyError, TypeError or ValueError where it is not what a run wrote."""
    trial = Trial.from_json(line["trial"])
    if trial.key != point_key(trial.point):
        raise ValueError("its point is not what was measured")
    return trial


def read_trials(path: Path) -> Iterator[Trial]:
    """The trials in a journal, of whatever problem."""
    for line in read_lines(path):
        with contextlib.suppress(KeyError, TypeError, ValueError):
            yield recorded_trial(line)


class Journal(Observer):
    """The journal at ``path``, created or continued.

    ``identity`` is a JSON object that names the problem (kernel, shapes, space, versions); a journal of another
    identity raises JournalMismatch, one that another live process writes raises JournalBusy. After construction
    ``trials`` holds what earlier runs settled, ``seconds`` what they took, ``complete`` whether the last of them
    ended by itself.

    If writing fails (full disk), a warning is given once and the run goes on without a journal.
    """

    def __init__(self, path: str | os.PathLike[str], identity: dict[str, Any], *, sync_seconds: float = 5.0) -> None:
        self.path = Path(path)
        self.identity = json.loads(canonical(identity))
        self.trials: dict[str, Trial] = {}
        self.seconds = 0.0
        self.complete = False
        self._sync_seconds = sync_seconds
        self._synced = time.monotonic()
        self._descriptor: int | None = None
        self._ended = False
        self._lock = FileLock(f"{self.path}.lock")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._acquire()
        try:
            self._load()
            self._open()
        except BaseException:
            self.close()
            raise

    def _acquire(self) -> None:
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise JournalBusy(f"{self.path} is being written by another process; give this run another path") from None

    def _load(self) -> None:
        open_points: dict[str, Point] = {}
        died: Counter[str] = Counter()
        ours = False  # whether a header says whose lines these are
        for line in read_lines(self.path):
            event = line.get("event")
            if event == "run":
                self._check(line)
                died.update(open_points.keys())
                ours, open_points, self.complete = True, {}, False
            elif event in ("end", "left"):
                self.complete, open_points = event == "end", {}
            elif ours:
                with contextlib.suppress(KeyError, TypeError, ValueError):  # a garbled line, worth nothing
                    self._take(line, open_points)
        died.update(open_points.keys())
        for key, count in died.items():
            if count >= _DEADLY_AFTER and key not in self.trials and key in open_points:
                text = f"was being evaluated when {count} runs died; not tried again"
                self.trials[key] = Trial(open_points[key], Status.CRASH, message=text)

    def _check(self, header: dict[str, Any]) -> None:
        if header.get("schema") != SCHEMA or header.get("identity") != self.identity:
            raise JournalMismatch(
                f"{self.path} records another problem (or an older format); remove it or choose another path"
            )

    def _take(self, line: dict[str, Any], open_points: dict[str, Point]) -> None:
        if line["event"] == "begin":
            open_points[point_key(line["point"])] = dict(line["point"])
            return
        trial = recorded_trial(line)
        self.seconds = max(self.seconds, float(line.get("seconds", 0.0)))
        self.trials[trial.key] = trial
        open_points.pop(trial.key, None)

    def _open(self) -> None:
        try:
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
            size = os.fstat(self._descriptor).st_size
            if size and os.pread(self._descriptor, 1, size - 1) != b"\n":
                os.write(self._descriptor, b"\n")
        except OSError as error:
            self._give_up(error)
        self._write({"event": "run", "schema": SCHEMA, "identity": self.identity})

    def _write(self, data: dict[str, Any]) -> None:
        if self._descriptor is None:
            return
        line = (canonical(data) + "\n").encode()
        try:
            if os.write(self._descriptor, line) != len(line):
                raise OSError("the line was written in part")
            if time.monotonic() - self._synced >= self._sync_seconds:
                os.fsync(self._descriptor)
                self._synced = time.monotonic()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        warnings.warn(f"journal {self.path}: {error}; the run goes on, but cannot be resumed", stacklevel=2)
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def submitted(self, point: Point, key: str, seconds: float) -> None:
        self._write({"event": "begin", "key": key, "point": point})

    def finished(self, trial: Trial, best: Trial | None, fraction: float | None, seconds: float) -> None:
        if self.trials.get(trial.key) != trial:
            self.trials[trial.key] = trial
            self._write({"event": "trial", "trial": trial.to_json(), "seconds": round(seconds, 3)})

    def ended(self, result: Result, seconds: float) -> None:
        self._ended = True
        self._write({"event": "end", "stopped": result.stopped, "seconds": round(seconds, 3)})

    def close(self) -> None:
        if self._descriptor is not None and not self._ended:
            self._write({"event": "left"})  # by an exception, Ctrl-C for one: no candidate has killed it
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        self._lock.release()
