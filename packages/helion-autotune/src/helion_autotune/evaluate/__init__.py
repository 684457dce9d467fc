"""Evaluation of points: from a point to a trial, in this process, in clean worker processes, or on other machines."""

from __future__ import annotations

from helion_autotune.evaluate.inline import InlineEvaluator
from helion_autotune.evaluate.protocol import Best, Evaluator

__all__ = ["Best", "Evaluator", "InlineEvaluator"]
