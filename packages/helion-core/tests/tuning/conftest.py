"""What the tests of tuning share: a cache of their own, kernels, and a measurer that needs no GPU."""

from __future__ import annotations

import pytest
import torch

import helion
import helion.language as hl
from helion.runtime.targets import parse_target
from helion.tuning.problem import Problem
from helion_autotune.evaluate import Measurement

H100 = parse_target("sm_90")


@pytest.fixture(autouse=True)
def clean(tmp_path, monkeypatch):
    """No test sees the user's caches or environment, nor those of another."""
    for name in ("HELION_SKIP_CACHE", "HELION_ASSERT_CACHE_HIT", "HELION_FORCE_AUTOTUNE", "HELION_AUTOTUNE_EFFORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HELION_CACHE_DIR", str(tmp_path / "cache"))


class SimulatedMeasurer:
    """Milliseconds from what the compiler said; keeps what it was asked to measure."""

    def __init__(self, milliseconds=None) -> None:
        self.reference = None
        self.measured = []
        self._milliseconds = milliseconds or (lambda compiled: 1.0 + compiled.facts["registers"] / 1000)

    def __call__(self, compiled, best_ms):
        self.measured.append(compiled)
        return Measurement(self._milliseconds(compiled))

    def interleave(self, compileds):
        return [self._milliseconds(c) for c in compileds]

    def close(self):
        pass


@pytest.fixture
def simulated():
    return SimulatedMeasurer


@pytest.fixture
def h100():
    return H100


def make_scaled(**settings):
    """A kernel that multiplies by a number, with few choices to search."""

    @helion.kernel(**{"autotune_precompile_jobs": 2, "autotune_progress_bar": False, **settings})
    def scaled(x: torch.Tensor, factor: float) -> torch.Tensor:
        out = torch.empty_like(x)
        for tile in hl.tile(x.size(0)):
            out[tile] = x[tile] * factor
        return out

    return scaled


@pytest.fixture
def scaled():
    return make_scaled


@pytest.fixture
def problem_of():
    """`problem_of(kernel, *args)`: the tuner's problem for an H100, removed after the test."""
    made = []

    def make(kernel, *args):
        problem = Problem(kernel.bind(args), kernel.normalize_args(*args), H100)
        made.append(problem)
        return problem

    yield make
    for problem in made:
        problem.close()
