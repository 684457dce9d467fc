"""Search strategies: what to try next. One file each, all ask/tell, found by name through entry points.

In: a :class:`~helion_autotune.space.SearchSpace` and finished trials. Out: points to try.
"""

from __future__ import annotations

from helion_autotune.registry import Registry
from helion_autotune.strategies.base import Milestone, Strategy

STRATEGIES: Registry[type[Strategy]] = Registry("helion_autotune.strategies")

__all__ = ["STRATEGIES", "Milestone", "Strategy"]
