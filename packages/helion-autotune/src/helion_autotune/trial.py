"""The outcome of evaluating one point."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any

from helion_autotune.errors import CandidateError
from helion_autotune.points import Point, point_key

NO_TIME = 1e-9
"""Milliseconds that a time of 0 counts as where it is divided by, or its logarithm taken."""


class Status(str, Enum):
    """What became of a candidate."""

    OK = "ok"
    DUPLICATE = "duplicate"
    """Generates the same source or binary as an earlier candidate; carries that candidate's time."""
    COMPILE_ERROR = "compile_error"
    TIMEOUT = "timeout"
    WRONG = "wrong"
    CRASH = "crash"
    LAUNCH_ERROR = "launch_error"
    SCREENED = "screened"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Trial:
    """What is known of one evaluated point.

    ``milliseconds`` is None unless the candidate ran and was right; what is no time (NaN, infinite, below 0) raises
    ValueError. ``compile_seconds`` is the time in the compiler.
    ``facts`` holds JSON values that the client wants kept: registers, spills, shared memory, ``cut`` (measured only
    once because it was slow), ``same_as`` (key of the candidate that this one duplicates).
    """

    point: Point
    status: Status = Status.OK
    milliseconds: float | None = None
    compile_seconds: float = 0.0
    message: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    key: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "status", Status(self.status))
        if self.milliseconds is not None:
            object.__setattr__(self, "milliseconds", _time(self.milliseconds))
        if not self.key:
            object.__setattr__(self, "key", point_key(self.point))

    @property
    def ok(self) -> bool:
        """Whether the candidate ran, was right, and has a time."""
        return self.status in (Status.OK, Status.DUPLICATE) and self.milliseconds is not None

    @property
    def cost(self) -> float:
        """Milliseconds, infinite for a failure: what a strategy minimises."""
        return self.milliseconds if self.ok and self.milliseconds is not None else math.inf

    def to_json(self) -> dict[str, Any]:
        """A JSON object that :meth:`from_json` reads back."""
        return {**asdict(self), "status": self.status.value}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Trial:
        """Read what :meth:`to_json` wrote; raises TypeError or ValueError on anything else."""
        trial = cls(**data)
        for name, kind in _KINDS.items():
            if not isinstance(getattr(trial, name), kind):
                raise TypeError(f"{name} is {getattr(trial, name)!r}")
        return trial


_KINDS = {"point": dict, "compile_seconds": (int, float), "message": str, "facts": dict, "key": str}


def _time(value: Any) -> float:
    if isinstance(value, str):
        raise ValueError(f"{value!r} is no time in milliseconds")
    milliseconds = float(value)
    if not 0.0 <= milliseconds < math.inf:
        raise ValueError(f"{milliseconds} is no time in milliseconds")
    return milliseconds


def failed_trial(point: Point, error: BaseException, **known: Any) -> Trial:
    """The trial of a point whose evaluation raised ``error``."""
    status = error.status if isinstance(error, CandidateError) else Status.CRASH.value
    text = str(error) if isinstance(error, CandidateError) else f"{type(error).__name__}: {error}"
    return Trial(point, status=Status(status), message=text, **known)
