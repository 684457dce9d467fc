"""How much a search may spend."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real

from helion_autotune.errors import InvalidBudget, UnknownName


@dataclass(frozen=True)
class Budget:
    """Limits of one run; None is no limit. Whichever is reached first ends it.

    ``seconds``: wall clock, time spent before a resume included. ``configs``: evaluated points, the default included.
    Raises InvalidBudget for a limit that is no number or below 0.
    """

    seconds: float | None = None
    configs: int | None = None

    def __post_init__(self) -> None:
        for name in ("seconds", "configs"):
            limit = getattr(self, name)
            if limit is not None and not (isinstance(limit, Real) and float(limit) >= 0):
                raise InvalidBudget(f"{name}={limit!r} is no limit; give a number from 0 on, or None for no limit")

    def exhausted_by(self, seconds: float, configs: int) -> str | None:
        """Which limit is reached after so much time and so many points: ``"seconds"``, ``"configs"``, or None."""
        if self.seconds is not None and seconds >= self.seconds:
            return "seconds"
        if self.configs is not None and configs >= self.configs:
            return "configs"
        return None

    def fraction(self, seconds: float, configs: int) -> float | None:
        """How much is used, from 0 to 1; None without limits."""
        parts = [(seconds, self.seconds), (configs, self.configs)]
        used = [min(1.0, spent / limit) if limit else 1.0 for spent, limit in parts if limit is not None]
        return max(used, default=None)


EFFORTS: dict[str, Budget] = {
    "none": Budget(seconds=0.0, configs=1),
    "quick": Budget(seconds=20.0, configs=120),
    "full": Budget(seconds=90.0, configs=1000),
}
"""What the efforts by name mean. ``none`` evaluates nothing but the default."""


def effort(name: str) -> Budget:
    """The budget of an effort by name; raises UnknownName listing the names."""
    if name not in EFFORTS:
        raise UnknownName(f"no effort {name!r}; known: {', '.join(EFFORTS)}")
    return EFFORTS[name]
