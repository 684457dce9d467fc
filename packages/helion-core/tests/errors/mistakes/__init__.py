"""Typical mistakes of people who know PyTorch and Triton, by subject, each with what they must be told."""

from . import (
    accesses,
    arguments,
    carried,
    conditions,
    configurations,
    deployment,
    loops,
    operators,
    programs,
    pythonic,
    shapes,
    values,
)
from .record import MISTAKES, Mistake

__all__ = ["MISTAKES", "Mistake"]
SECTIONS = (
    shapes,
    operators,
    values,
    accesses,
    loops,
    conditions,
    carried,
    pythonic,
    arguments,
    configurations,
    deployment,
    programs,
)
