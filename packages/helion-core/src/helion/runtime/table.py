"""Configs by buckets of shapes: what a kernel for many sizes runs for those of one call."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

Run = Callable[..., Any]


def size_bucket(args: Sequence[Any]) -> tuple[int, ...]:
    """The sizes of all tensors, each as the exponent of the power of two at or above it."""
    return tuple([(n - 1).bit_length() if n else 0 for t in _tensors(args) for n in t.shape])


def _tensors(args: Sequence[Any]) -> list[torch.Tensor]:
    plain = [a for a in args if isinstance(a, torch.Tensor)]
    if all(isinstance(a, (torch.Tensor, int, float, str, type(None))) for a in args):
        return plain
    return [a for a in tree_leaves(list(args)) if isinstance(a, torch.Tensor)]


class Table:
    """What calls run, by the bucket that their arguments fall into."""

    def __init__(self, runs: Mapping[Hashable, Run], bucket: Callable[[Sequence[Any]], Hashable]) -> None:
        self._runs, self._bucket = dict(runs), bucket
        self._given = list(runs)

    @property
    def asks_numbers(self) -> bool:
        """Whether the bucket may depend on more than sizes."""
        return self._bucket is not size_bucket

    def get(self, args: Sequence[Any]) -> Run:
        """What a call with `args` runs: what was given for its bucket, else for the nearest one."""
        bucket = self._bucket(args)
        run = self._runs.get(bucket)
        if run is None:
            nearest = min(self._given, key=lambda other: _distance(bucket, other))
            run = self._runs[bucket] = self._runs[nearest]
        return run


def _distance(a: Hashable, b: Hashable) -> float:
    """How far buckets of exponents are apart; others are all equally far."""
    if isinstance(a, tuple) and isinstance(b, tuple) and len(a) == len(b):
        return sum(
            abs(x - y) if isinstance(x, int) and isinstance(y, int) else x != y for x, y in zip(a, b, strict=True)
        )
    return float("inf")
