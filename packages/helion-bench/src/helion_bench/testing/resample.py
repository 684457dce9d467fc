"""Runs made of a recorded one: its samples, drawn again, on a machine that drifts as machines were seen to.

Real samples have what a formula lacks: clocks with two states, steps, outliers. What happens between two runs is not
in the samples of one, and is added: in logarithms, what a case and all its backends share, what each of them does by
itself, a slope within the run, single slow rounds, and a clock that falls by 8 % within a case and stays there.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from helion_bench.results.model import CaseKey, Cell, Latency, Run

Times = NDArray[np.float64]


@dataclass(frozen=True)
class Machine:
    """What differs between runs. `own`, `shared`: scales of a cell and of a case; their tails are heavy, as Student's
    with 3 degrees of freedom. `slope`: of a run. `falls`, `outliers`: how often a clock falls, or a round is slow."""

    own: float
    shared: float
    slope: float = 0.01
    falls: float = 0.02
    outliers: float = 0.03


def resampled(
    run: Run, machine: Machine, seed: int, *, shift: float = 0.0, slower: Mapping[CaseKey, float] | None = None,
    backend: str = "helion", rounds: int = 8,
) -> Run:  # fmt: skip
    """A run with samples drawn from those of `run`, of which `slower` multiplies those of `backend`."""
    random = np.random.default_rng(seed)
    cells: list[Cell] = []
    for case in run.cases:
        beside = [cell for cell in run.cells if cell.case == case and cell.latency and cell.latency.samples]
        together = shift + _together(random, machine, rounds)
        turns = random.random(rounds)
        for cell in beside:
            factor = math.log((slower or {}).get(case, 1.0)) if cell.backend == backend else 0.0
            logs = together + _alone(random, machine, rounds) + factor
            cells.append(_drawn(cell, turns, np.exp(logs), random))
    return dataclasses.replace(run, cells=tuple(cells), id=f"{run.id}-{seed}", complete=True)


def _together(random: np.random.Generator, machine: Machine, rounds: int) -> Times:
    """What the backends of a case share, by round."""
    found = _heavy(random, machine.shared) + random.normal(0, machine.slope) * np.linspace(-1, 1, rounds)
    if random.random() < machine.falls:
        found[random.integers(0, rounds) :] -= math.log(0.92)
    return found


def _alone(random: np.random.Generator, machine: Machine, rounds: int) -> Times:
    slow = random.random(rounds) < machine.outliers
    return _heavy(random, machine.own) + np.where(slow, 0.05 * np.abs(random.standard_t(2, rounds)), 0.0)


def _heavy(random: np.random.Generator, scale: float) -> float:
    return scale * float(random.standard_t(3))


def _drawn(cell: Cell, turns: Times, factors: Times, random: np.random.Generator) -> Cell:
    """Rounds of `cell` at `turns`, which its backends share, their samples drawn again, times `factors`."""
    assert cell.latency is not None
    recorded: Sequence[Sequence[float]] = [group for group in cell.latency.rounds if group]
    chosen = [recorded[int(turn * len(recorded))] for turn in turns]
    drawn = [(random.choice(group, len(group)) * f).tolist() for group, f in zip(chosen, factors, strict=True)]
    return dataclasses.replace(cell, latency=dataclasses.replace(cell.latency, rounds=Latency.of(drawn, "").rounds))
