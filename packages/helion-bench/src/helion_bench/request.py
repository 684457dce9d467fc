"""What the command line asks of the package that measures; without torch, which reading stored runs does not need."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Request:
    """What a user asked for, as text; empty means all there is. `seconds` bounds the whole run.

    `metrics` says what to measure (see `helion_bench.reports.metrics`), `quick` takes few shapes and few rounds,
    `device` is "cuda" or "cpu" (no timings then), `tritonbench` is a checkout or None for an installed one.
    """

    ops: tuple[str, ...] = ()
    shapes: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ()
    passes: tuple[str, ...] = ("fwd",)
    backends: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    device: str = "cuda"
    quick: bool = False
    seconds: float | None = None
    tritonbench: str | None = None
    command: tuple[str, ...] = ()


@dataclass(frozen=True)
class OpListing:
    """A line of `helion-bench list`: an operation with the shape labels and dtypes it has."""

    name: str
    shapes: tuple[str, ...]
    dtypes: tuple[str, ...]
    passes: tuple[str, ...]
    description: str = ""
