"""Configs by buckets of shapes: what a kernel for many sizes runs for those of one call."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

Run = Callable[..., Any]


class Table:
    """What calls run, by the bucket that their arguments fall into."""

    def __init__(self, runs: Mapping[Hashable, Run], bucket: Callable[[Sequence[Any]], Hashable]) -> None:
        self._runs, self._bucket = dict(runs), bucket

    def get(self, args: Sequence[Any]) -> Run | None:
        """What a call with `args` runs; None for a bucket that the table does not have."""
        return self._runs.get(self._bucket(args))
