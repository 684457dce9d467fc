"""What a cache holds: for each key a record, in it one entry per point."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from helion_autotune.points import digest, point_key
from helion_autotune.trial import Status, Trial

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from helion_autotune.points import Point

SCHEMA = 1


class BadRecord(ValueError):
    """Text that is no record of this schema."""


@dataclass(frozen=True)
class CacheKey:
    """Everything that decides a result, as named JSON parts: source hash, settings, versions, target, shapes.

    ``group`` keeps related keys together (a kernel's name): listing a group is cheap.
    """

    group: str
    parts: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """The identity of the key."""
        return digest([self.group, dict(self.parts)])

    def differences(self, other: CacheKey) -> list[str]:
        """The names of the parts in which two keys differ."""
        names = sorted({*self.parts, *other.parts})
        return [n for n in names if n not in self.parts or n not in other.parts or self.parts[n] != other.parts[n]]

    def matches(self, parts: Mapping[str, Any]) -> bool:
        """Whether the key has all these parts with these values."""
        return all(name in self.parts and self.parts[name] == value for name, value in parts.items())


@dataclass(frozen=True)
class Entry:
    """One point under one key.

    ``milliseconds`` is None for a point that failed with ``status``. ``winner``: a search ended with it.
    ``created`` is in seconds since the epoch. ``provenance`` is for the reader: device, versions, date, strategy.
    """

    point: Point
    milliseconds: float | None
    status: str = "ok"
    winner: bool = False
    message: str = ""
    created: float = field(default_factory=lambda: round(time.time(), 3))
    provenance: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_trial(cls, trial: Trial, *, winner: bool = False, provenance: Mapping[str, Any] | None = None) -> Entry:
        """The entry that keeps a trial."""
        status = str(Status.OK if trial.ok else trial.status)
        return cls(trial.point, trial.milliseconds, status, winner, trial.message, provenance=dict(provenance or {}))

    def to_trial(self) -> Trial:
        """The trial that this entry keeps: what ``tune(known=…)`` takes."""
        return Trial(self.point, Status(self.status), self.milliseconds, message=self.message)


@dataclass(frozen=True)
class Record:
    """All entries of one key."""

    key: CacheKey
    entries: tuple[Entry, ...]

    @property
    def best(self) -> Entry | None:
        """The fastest winner; without one, the fastest entry; None if nothing worked."""
        worked = [e for e in self.entries if e.status == Status.OK.value and e.milliseconds is not None]
        return min((e for e in worked if e.winner), key=_time, default=None) or min(worked, key=_time, default=None)

    @property
    def winner(self) -> Entry | None:
        """The fastest point that a search ended with; None if no search has ended."""
        return min((e for e in self.entries if e.winner and e.milliseconds is not None), key=_time, default=None)

    def find(self, point: Point) -> Entry | None:
        """The entry of one point."""
        return next((e for e in self.entries if e.point == point), None)

    def merged(self, entries: Iterable[Entry]) -> Record:
        """This record with more entries; of two for one point the later stays."""
        by_point = {point_key(e.point): e for e in self.entries}
        for entry in entries:
            by_point[point_key(entry.point)] = entry
        return Record(self.key, tuple(by_point.values()))

    def to_json(self) -> dict[str, Any]:
        """The record as JSON, with the schema's version."""
        return {
            "schema": SCHEMA,
            "group": self.key.group,
            "key": dict(self.key.parts),
            "entries": [asdict(e) for e in self.entries],
        }

    @classmethod
    def from_json(cls, data: Any) -> Record:
        """Read what :meth:`to_json` wrote; raises BadRecord for anything else."""
        if not isinstance(data, dict) or data.get("schema") != SCHEMA:
            raise BadRecord(f"schema {data.get('schema') if isinstance(data, dict) else None!r} instead of {SCHEMA}")
        try:
            entries = tuple(Entry(**entry) for entry in data["entries"])
            for entry in entries:
                Trial.from_json(entry.to_trial().to_json())
            return cls(CacheKey(data["group"], dict(data["key"])), entries)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadRecord(f"{type(error).__name__}: {error}") from error


def _time(entry: Entry) -> float:
    assert entry.milliseconds is not None
    return entry.milliseconds
