"""What is particular to each strategy."""

from __future__ import annotations

import pytest

from helion_autotune import Budget, Enum, Integer, ListOf, PowerOfTwo, SearchSpace
from helion_autotune.errors import InvalidParameter, InvalidPoint
from helion_autotune.strategies.differential_evolution import DifferentialEvolutionSearch
from helion_autotune.strategies.finite import FiniteSearch
from helion_autotune.strategies.guided import GuidedSearch
from helion_autotune.strategies.pattern import PatternSearch
from helion_autotune.strategies.random_search import RandomSearch
from helion_autotune.testing.strategies import mixed_space, objective


def test_finite_refuses_points_outside_the_space() -> None:
    with pytest.raises(InvalidPoint, match="warps"):
        FiniteSearch(mixed_space(), points=[{**mixed_space().default(), "warps": 3}])


def test_finite_does_not_list_a_space_without_end() -> None:
    space = SearchSpace({f"x{i}": Integer(0, 99) for i in range(9)})
    with pytest.raises(InvalidParameter, match=r"1e\+18 points are too many"):
        FiniteSearch(space)
    assert FiniteSearch(space, points=[space.default()]).count == 1


def test_finite_ranks_its_points(run) -> None:
    space = mixed_space()
    points = [{**space.default(), "warps": w} for w in (1, 8, 2)]
    strategy = FiniteSearch(space, points=points)
    run(strategy, objective)
    assert strategy.finalists(2) == [points[1], points[2]]


def test_random_ends_after_its_count(run) -> None:
    result = run(RandomSearch(mixed_space(), count=12), objective)
    assert (len(result.trials), result.stopped) == (13, "done")


def test_differential_evolution_prints_generations_as_documented(run, recorder) -> None:
    strategy = DifferentialEvolutionSearch(mixed_space(), population=6, generations=5)
    result = run(strategy, objective, observers=[recorder])
    titles = [m.title for m, _ in recorder.of("milestone")]
    assert titles == ["Initial population", "Generation 2", "Generation 3", "Generation 4"]
    assert len(result.trials) == 1 + 2 * 6 + 3 * 6
    worst = [max(m.milliseconds) for m, _ in recorder.of("milestone")[1:]]
    assert worst == sorted(worst, reverse=True), "members are only replaced by faster ones"


def test_pattern_walks_to_a_local_optimum(run) -> None:
    space = SearchSpace({"x": Integer(0, 60, 50), "y": Integer(0, 60, 50)})
    result = run(PatternSearch(space, initial=0), lambda p: 1.0 + abs(p["x"] - 7) + abs(p["y"] - 31))
    assert result.point == {"x": 7, "y": 31}
    assert result.stopped == "done"
    assert len(result.trials) < 300


def trap(point) -> float:
    """Descriptors pay only if every entry has them; one alone costs."""
    described = sum(kind == "descriptor" for kind in point["indexing"])
    gain = 0.5 if described == 6 else 1.0 + 0.1 * described
    return gain * (1.0 + abs(point["warps"].bit_length() - 4))


def trap_space() -> SearchSpace:
    indexing = ListOf.repeat(Enum(["pointer", "block", "descriptor"]), 6)
    return SearchSpace({"indexing": indexing, "warps": PowerOfTwo(1, 32, 4)})


@pytest.mark.parametrize("strategy", [GuidedSearch, PatternSearch])
@pytest.mark.parametrize("seed", range(3))
def test_uniform_moves_find_what_single_ones_cannot(run, strategy, seed) -> None:
    space = trap_space()
    options = {} if strategy is GuidedSearch else {"initial": 0}
    result = run(strategy(space, seed=seed, **options), trap, budget=Budget(configs=60))
    assert result.point == {"indexing": ["descriptor"] * 6, "warps": 8}


def test_guided_tries_ranked_seeds_first_in_order(run) -> None:
    seeds = [{"warps": 16}, {"warps": 2}, {"warps": 1}]
    result = run(GuidedSearch(mixed_space().seeded([{**mixed_space().default(), **s} for s in seeds])), objective)
    assert [t.point["warps"] for t in result.trials[:4]] == [4, 16, 2, 1]


def test_guided_restarts_and_ends_by_itself(run, recorder) -> None:
    space = mixed_space()
    strategy = GuidedSearch(space, patience=8, restarts=2)
    result = run(strategy, objective, budget=Budget(configs=600), observers=[recorder])
    assert result.stopped == "done"
    assert any(m.counts.get("restarts") == 2 for m, _ in recorder.of("milestone"))
    assert result.milliseconds < 1.25
