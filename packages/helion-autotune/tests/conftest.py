"""What the tests of this package share."""

from __future__ import annotations

import pytest

from helion_autotune import InlineEvaluator, Session, Trial
from helion_autotune.observer import Observer


class Recorder(Observer):
    """Keeps everything it is told."""

    def __init__(self) -> None:
        self.events: list[tuple] = []

    def of(self, kind: str) -> list[tuple]:
        return [event[1:] for event in self.events if event[0] == kind]


def _record(name: str):
    def method(self: Recorder, *details: object) -> None:
        self.events.append((name, *details))

    return method


for _name in ("started", "submitted", "finished", "milestone", "warning", "ended", "close"):
    setattr(Recorder, _name, _record(_name))


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def run():
    """``run(strategy, function, **session_keywords)``: one session in this process."""

    def start(strategy, function, **keywords):
        keywords.setdefault("finalists", 0)
        return Session(InlineEvaluator(function), strategy, **keywords).run()

    return start


@pytest.fixture
def trials():
    """``trials(points, times)``: trials as if measured; None for a failure."""

    def make(points, times):
        return [Trial(p, "ok" if ms is not None else "compile_error", ms) for p, ms in zip(points, times, strict=True)]

    return make
