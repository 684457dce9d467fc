from __future__ import annotations

import gzip
import json
import math
from pathlib import Path

import numpy as np
import pytest

from helion_autotune import Budget, Integer, SearchSpace, Trial, tune
from helion_autotune.evaluate import InlineEvaluator
from helion_autotune.testing.compare import CHECKPOINTS, compare_strategies, main, summary_rows
from helion_autotune.testing.landscapes import MatmulLandscape, RowLandscape, standard_landscapes
from helion_autotune.testing.recorded import RecordedLandscape, from_journal, load_landscape


@pytest.mark.parametrize("landscape", standard_landscapes(2), ids=lambda landscape: landscape.name)
def test_landscapes_behave_like_kernels(landscape) -> None:
    assert landscape.cost(landscape.space.default()) < math.inf, "the default always works"
    rng = np.random.default_rng(0)
    costs = np.array([landscape.cost(landscape.space.sample(rng)) for _ in range(300)])
    assert landscape.optimum <= costs.min() * 1.001
    works = costs[np.isfinite(costs)]
    assert np.median(works) > 1.5 * landscape.optimum, "random points are poor"
    assert landscape.cost(landscape.space.default()) > 1.03 * landscape.optimum


def test_some_regions_fail() -> None:
    landscape = MatmulLandscape(0)
    rng = np.random.default_rng(0)
    failed = sum(math.isinf(landscape.cost(landscape.space.sample(rng))) for _ in range(300))
    assert 0.1 < failed / 300 < 0.7


def test_the_seed_shapes_the_problem_and_nothing_else_does() -> None:
    point = {**MatmulLandscape(0).space.default(), "num_warps": 8}
    assert MatmulLandscape(0).cost(point) == MatmulLandscape(0).cost(point) != MatmulLandscape(1).cost(point)
    noisy = [RowLandscape(0).measure(RowLandscape(0).space.default(), np.random.default_rng(s)) for s in (1, 1, 2)]
    assert noisy[0] == noisy[1] != noisy[2]


def test_list_knobs_pay_only_together() -> None:
    landscape = MatmulLandscape(0)
    ruggedness = 0.04
    base = landscape.space.default()
    one = {**base, "indexing": ["tensor_descriptor", "pointer", "pointer", "pointer"]}
    every = {**base, "indexing": ["tensor_descriptor"] * 4}
    assert landscape.cost(one) > landscape.cost(base) * (1.05 - ruggedness)
    assert landscape.cost(every) < landscape.cost(base)


SPACE = SearchSpace({"x": Integer(0, 9, 5), "y": Integer(0, 9, 5)})


def recorded() -> RecordedLandscape:
    trials = [Trial({"x": x, "y": 0}, milliseconds=1.0 + x) for x in range(10)]
    trials.append(Trial({"x": 5, "y": 9}, "timeout", message="60 s"))
    return RecordedLandscape("lines", SPACE, trials)


def test_a_recorded_landscape_interpolates() -> None:
    landscape = recorded()
    assert landscape.cost({"x": 3, "y": 0}) == 4.0
    assert landscape.cost({"x": 5, "y": 9}) == math.inf
    assert landscape.cost({"x": 5, "y": 8}) == math.inf, "nearest to a failure"
    assert 2.0 < landscape.cost({"x": 2, "y": 1}) < 4.0
    assert landscape.optimum == 1.0


def test_a_recorded_landscape_is_stored_as_json(tmp_path) -> None:
    path = tmp_path / "landscape.json"
    path.write_text(json.dumps(recorded().to_json()))
    again = load_landscape(path)
    for x in range(10):
        for y in (0, 4, 9):
            assert again.cost({"x": x, "y": y}) == recorded().cost({"x": x, "y": y})
    packed = tmp_path / "landscape.json.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert load_landscape(packed).optimum == again.optimum
    for broken in (packed.read_bytes()[:-20], path.read_bytes()):
        packed.write_bytes(broken)
        with pytest.raises(ValueError, match="cut off"):
            load_landscape(packed)
    path.write_text('{"schema": 99}')
    with pytest.raises(ValueError, match="schema 1"):
        load_landscape(path)


@pytest.mark.parametrize(
    ("name", "least", "best"), [("matmul", 700, 0.178), ("attention", 1000, 1.8456), ("softmax", 350, 0.0926)]
)
def test_searches_recorded_on_an_h100(name, least, best) -> None:
    """What tuning measured there: 4096^3 bf16, 4x32x4096x128, rows of 8192. The guided search finds it again."""
    landscape = load_landscape(Path(__file__).parent / "recorded" / f"{name}.h100.json.gz")
    assert len(landscape.trials) >= least
    assert landscape.optimum == pytest.approx(best, rel=1e-3)
    found = tune(landscape.space, InlineEvaluator(landscape.cost), "guided", budget=Budget(configs=200), write=None)
    assert landscape.cost(found.point) <= 1.05 * landscape.optimum


def test_a_journal_replays_as_a_landscape(tmp_path) -> None:
    journal = tmp_path / "run.jsonl"
    result = tune(
        SPACE,
        InlineEvaluator(lambda p: 1.0 + p["x"] + p["y"]),
        "random",
        budget=Budget(configs=30),
        journal=journal,
        write=None,
    )
    landscape = from_journal(journal, SPACE)
    assert all(landscape.cost(t.point) == t.cost for t in result.trials)
    assert landscape.optimum == min(t.cost for t in result.trials)


def test_garbled_lines_of_a_journal_are_no_part_of_the_landscape(tmp_path) -> None:
    space, path = SearchSpace({"x": Integer(0, 9)}), tmp_path / "run.jsonl"
    result = tune(space, InlineEvaluator(lambda p: float(p["x"])), "finite", journal=path, write=None)
    lines = ['{"event":"trial"}', '{"event":"trial","trial":{"point":3}}', '{"event":"trial","trial":{"poi', "[1]"]
    path.write_text("\n".join([*path.read_text().splitlines(), *lines]))
    landscape = from_journal(path, space)
    assert len(landscape.trials) == len(result.trials) == 10
    assert landscape.optimum == landscape.milliseconds({"x": 0}) == 0.0


@pytest.mark.parametrize(
    "text", ["[]", '{"schema": 1}', '{"schema": 1, "trials": [[1]], "name": "n", "space": {}}', "{"]
)
def test_a_file_that_holds_no_landscape_is_refused(tmp_path, text) -> None:
    (tmp_path / "landscape.json").write_text(text)
    with pytest.raises(ValueError):
        load_landscape(tmp_path / "landscape.json")


def test_every_way_to_garble_a_packed_landscape_is_refused_or_read(tmp_path) -> None:
    whole = (Path(__file__).parent / "recorded" / "softmax.h100.json.gz").read_bytes()
    path = tmp_path / "landscape.json.gz"
    for start in range(0, len(whole), 397):
        path.write_bytes(whole[:start] + bytes(8) + whole[start + 8 :])
        with pytest.raises(ValueError):
            load_landscape(path)


def test_comparing_reproduces_and_sums_up() -> None:
    landscapes = [RowLandscape(0)]
    runs, again = (compare_strategies(["random", "pattern"], landscapes, seeds=2, evaluations=60) for _ in range(2))
    assert runs == again
    assert len(runs) == 4
    assert all(len(r.quality) == len([n for n in CHECKPOINTS if n <= 60]) for r in runs)
    assert all(q >= 1.0 for r in runs for q in r.quality)
    rows = summary_rows(runs)
    assert [row[0] for row in rows] == ["random", "pattern"]
    assert all(len(row) == 5 for row in rows)


def test_the_table_prints(capsys) -> None:
    main(["random", "--seeds", "1", "--shapes", "1", "--evaluations", "50"])
    assert "random" in capsys.readouterr().out


def test_guided_beats_random_by_far() -> None:
    """With 80 evaluations, over problems and seeds; the margin is wide, so only a broken search fails this."""
    runs = compare_strategies(["random", "guided"], [MatmulLandscape(0), RowLandscape(0)], seeds=2, evaluations=80)
    mean = {name: np.mean([r.quality[-1] for r in runs if r.strategy == name]) for name in ("random", "guided")}
    assert mean["guided"] - 1 < 0.6 * (mean["random"] - 1)
