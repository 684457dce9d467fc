"""Every strategy of ours passes the suite that third parties' ones are held to."""

from __future__ import annotations

import pytest

from helion_autotune.strategies.base import Strategy
from helion_autotune.strategies.differential_evolution import DifferentialEvolutionSearch
from helion_autotune.strategies.finite import FiniteSearch
from helion_autotune.strategies.guided import GuidedSearch
from helion_autotune.strategies.optuna_sampler import OptunaSearch
from helion_autotune.strategies.pattern import PatternSearch
from helion_autotune.strategies.random_search import RandomSearch
from helion_autotune.strategies.surrogate import SurrogateSearch
from helion_autotune.testing.strategies import BUDGET, StrategyConformance


class TestFinite(StrategyConformance):
    def make(self, space, seed) -> Strategy:
        if space.size <= BUDGET:
            return FiniteSearch(space, seed=seed)
        points = RandomSearch(space, seed=seed).ask(40)
        return FiniteSearch(space, seed=seed, points=points)


class TestRandom(StrategyConformance):
    def make(self, space, seed) -> Strategy:
        return RandomSearch(space, seed=seed)


class TestDifferentialEvolution(StrategyConformance):
    def make(self, space, seed) -> Strategy:
        return DifferentialEvolutionSearch(space, seed=seed, population=8, generations=10)


class TestPattern(StrategyConformance):
    def make(self, space, seed) -> Strategy:
        return PatternSearch(space, seed=seed, initial=8)


class TestSurrogate(StrategyConformance):
    def make(self, space, seed) -> Strategy:
        return SurrogateSearch(space, seed=seed, initial=10)


class TestGuided(StrategyConformance):
    def make(self, space, seed) -> Strategy:
        return GuidedSearch(space, seed=seed)


class TestOptuna(StrategyConformance):
    @pytest.fixture(autouse=True)
    def _needs_optuna(self) -> None:
        pytest.importorskip("optuna", reason="the extra `optuna` is not installed")

    def make(self, space, seed) -> Strategy:
        return OptunaSearch(space, seed=seed)
