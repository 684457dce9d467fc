"""Evaluation of points: from a point to a trial, in this process, in clean worker processes, or on other machines."""

from __future__ import annotations

from helion_autotune.evaluate.inline import InlineEvaluator
from helion_autotune.evaluate.measurer import ProcessMeasurer
from helion_autotune.evaluate.pipeline import Compiled, Measurement, PipelineEvaluator
from helion_autotune.evaluate.pool import WorkerPool
from helion_autotune.evaluate.protocol import Best, Evaluator
from helion_autotune.evaluate.remote import ExecutorEvaluator

__all__ = [
    "Best",
    "Compiled",
    "Evaluator",
    "ExecutorEvaluator",
    "InlineEvaluator",
    "Measurement",
    "PipelineEvaluator",
    "ProcessMeasurer",
    "WorkerPool",
]
