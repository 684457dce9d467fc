"""Tuning for anything that has a space of settings and a way to evaluate a point of it.

>>> from helion_autotune import InlineEvaluator, PowerOfTwo, SearchSpace, tune
>>> space = SearchSpace({"block": PowerOfTwo(16, 1024)})
>>> best = tune(space, InlineEvaluator(lambda p: abs(p["block"] - 128) + 1.0), "finite", write=None)
>>> best.point
{'block': 128}

Names are imported when first used, so that importing the package costs a few milliseconds.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from helion_autotune.budget import EFFORTS as EFFORTS
    from helion_autotune.budget import Budget as Budget
    from helion_autotune.budget import effort as effort
    from helion_autotune.caches import CACHES as CACHES
    from helion_autotune.caches import Cache as Cache
    from helion_autotune.caches import CacheKey as CacheKey
    from helion_autotune.caches import Entry as Entry
    from helion_autotune.caches import Record as Record
    from helion_autotune.caches import open_cache as open_cache
    from helion_autotune.evaluate import Best as Best
    from helion_autotune.evaluate import Compiled as Compiled
    from helion_autotune.evaluate import Evaluator as Evaluator
    from helion_autotune.evaluate import ExecutorEvaluator as ExecutorEvaluator
    from helion_autotune.evaluate import InlineEvaluator as InlineEvaluator
    from helion_autotune.evaluate import Measurement as Measurement
    from helion_autotune.evaluate import PipelineEvaluator as PipelineEvaluator
    from helion_autotune.evaluate import ProcessMeasurer as ProcessMeasurer
    from helion_autotune.evaluate import WorkerPool as WorkerPool
    from helion_autotune.journal import Journal as Journal
    from helion_autotune.observer import Observer as Observer
    from helion_autotune.points import Point as Point
    from helion_autotune.points import point_key as point_key
    from helion_autotune.report import Reporter as Reporter
    from helion_autotune.result import Result as Result
    from helion_autotune.session import Session as Session
    from helion_autotune.space import Boolean as Boolean
    from helion_autotune.space import Enum as Enum
    from helion_autotune.space import Fixed as Fixed
    from helion_autotune.space import Forbid as Forbid
    from helion_autotune.space import Integer as Integer
    from helion_autotune.space import ListOf as ListOf
    from helion_autotune.space import OrNone as OrNone
    from helion_autotune.space import Parameter as Parameter
    from helion_autotune.space import Permutation as Permutation
    from helion_autotune.space import PowerOfTwo as PowerOfTwo
    from helion_autotune.space import ProductAtMost as ProductAtMost
    from helion_autotune.space import SearchSpace as SearchSpace
    from helion_autotune.strategies import STRATEGIES as STRATEGIES
    from helion_autotune.strategies import Milestone as Milestone
    from helion_autotune.strategies import Strategy as Strategy
    from helion_autotune.summary import FailureGroup as FailureGroup
    from helion_autotune.summary import Statistics as Statistics
    from helion_autotune.trial import Status as Status
    from helion_autotune.trial import Trial as Trial
    from helion_autotune.tuning import make_strategy as make_strategy
    from helion_autotune.tuning import tune as tune
    from helion_autotune.warmstart import warm_starts as warm_starts

_HOMES = {
    "summary": (
        "FailureGroup",
        "Statistics",
    ),
    "warmstart": ("warm_starts",),
    "caches": (
        "CACHES",
        "Cache",
        "CacheKey",
        "Entry",
        "Record",
        "open_cache",
    ),
    "budget": ("EFFORTS", "Budget", "effort"),
    "evaluate": (
        "Best",
        "Compiled",
        "Evaluator",
        "ExecutorEvaluator",
        "InlineEvaluator",
        "Measurement",
        "PipelineEvaluator",
        "ProcessMeasurer",
        "WorkerPool",
    ),
    "journal": ("Journal",),
    "observer": ("Observer",),
    "points": ("Point", "point_key"),
    "report": ("Reporter",),
    "result": ("Result",),
    "session": ("Session",),
    "space": (
        "Boolean",
        "Enum",
        "Fixed",
        "Forbid",
        "Integer",
        "ListOf",
        "OrNone",
        "Parameter",
        "Permutation",
        "PowerOfTwo",
        "ProductAtMost",
        "SearchSpace",
    ),
    "strategies": (
        "STRATEGIES",
        "Milestone",
        "Strategy",
    ),
    "trial": ("Status", "Trial"),
    "tuning": ("make_strategy", "tune"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted([*_HOME, "__version__"])


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("helion-autotune")
    if name not in _HOME:
        raise AttributeError(f"module 'helion_autotune' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"helion_autotune.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]
