"""Whole searches for an H100 that is not there: real worker processes, simulated times."""

from __future__ import annotations

import json
import re
import warnings

import numpy as np
import pytest
import torch

import helion
import helion.language as hl
from helion import exc
from helion.tuning.capture import Grids
from helion.tuning.shapes import tune_shapes
from helion.tuning.tuner import Tuner
from helion_autotune import Observer
from helion_autotune.errors import DeviceFault, WrongResult

X = torch.randn(4096)
ARGS = (X, 2.0)
CONFIGS = [helion.Config(block_sizes=[b], num_warps=1) for b in (64, 128, 512)]


@pytest.fixture
def tuner(scaled, simulated, h100):
    """`tuner(measurer, args, **settings)`: for the kernel `scaled`, with a budget of few seconds."""

    def make(measurer=None, args=ARGS, kernel=None, **settings):
        kernel = kernel or scaled(**{"autotune_budget_seconds": 3.0, **settings})
        return Tuner(kernel.bind(args), args, h100, measurer or simulated())

    return make


def test_what_a_search_prints_and_finds(tuner, capfd, tmp_path):
    best = tuner(autotune_log=str(tmp_path / "log")).best()
    lines = capfd.readouterr().err.splitlines()
    assert re.fullmatch(r"\[0s\] Starting GuidedSearch with batch=8, patience=\d+, restarts=6", lines[0])
    assert re.match(r"\[\d+s\] Initial points: .*min=\d+\.\d{4} mid=\d+\.\d{4} max=\d+\.\d{4} best=Config\(", lines[1])
    assert re.fullmatch(r"\[\d+s\] Autotuning complete in \d+\.\ds after searching \d+ configs\.", lines[-3])
    assert lines[-2] == "One can hardcode the best config and skip autotuning with:"
    assert lines[-1] == f"    @helion.kernel(config={best!r})"
    rows = (tmp_path / "log.csv").read_text().splitlines()
    assert rows[0].startswith("seconds,key,status,milliseconds") and len(rows) > 3
    assert all(row.endswith(',"scaled(float32[4096], float)"') for row in rows[1:])
    assert "Autotuning complete" in (tmp_path / "log.log").read_text()


def test_a_hit_is_not_searched_again(tuner, capfd, monkeypatch):
    best = tuner().best()
    capfd.readouterr()
    again = tuner()
    assert again.best() == best and again.result is None
    assert capfd.readouterr().err == ""
    forced = tuner()
    forced.best(force=True)
    assert forced.result is not None
    monkeypatch.setenv("HELION_SKIP_CACHE", "1")
    skipping = tuner()
    skipping.best()
    assert skipping.result is not None


def test_a_full_result_serves_quick_and_not_the_other_way(tuner):
    tuner(autotune_effort="quick").best()
    full = tuner()
    full.best()
    assert full.result is not None
    quick = tuner(autotune_effort="quick", index_dtype="int64")
    tuner(index_dtype="int64").best()
    quick.best()
    assert quick.result is None


def test_a_demanded_hit(tuner, monkeypatch):
    monkeypatch.setenv("HELION_ASSERT_CACHE_HIT", "1")
    with pytest.raises(exc.CacheMissed, match="nothing of 'scaled'"):
        tuner().best()
    monkeypatch.delenv("HELION_ASSERT_CACHE_HIT")
    best = tuner().best()
    monkeypatch.setenv("HELION_ASSERT_CACHE_HIT", "1")
    assert tuner().best() == best
    with pytest.raises(exc.CacheMissed, match="arguments"):
        tuner(args=(torch.randn(8192), 2.0)).best()


def test_a_level_that_is_none_is_told(tuner):
    with pytest.raises(exc.InvalidSetting, match="no level 'LOUD'"):
        tuner(autotune_log_level="LOUD").best()


def test_silence(tuner, capfd):
    tuner(autotune_log_level="WARNING").best()
    assert capfd.readouterr().err == ""


def test_overrides_are_pinned_and_seeds_come_first(tuner, simulated):
    measurer = simulated()
    seed = helion.Config(block_sizes=[2048], num_warps=2)
    best = tuner(
        measurer, autotune_config_overrides={"num_warps": 2}, autotune_seed_configs=[seed], autotune_precompile_jobs=1
    ).best()  # fmt: skip
    assert best.num_warps == 2
    assert {c.payload["options"]["num_warps"] for c in measurer.measured} == {2}
    assert 2048 in [c.point["block_sizes"][0] for c in measurer.measured[:3]]


def test_warm_starts_from_other_shapes(tuner, simulated, capfd):
    def peculiar(compiled):
        return 1.0 if compiled.point["block_sizes"] == [1024] and compiled.point["num_warps"] == 2 else 2.0

    found = tuner(simulated(peculiar), autotune_seed_configs=[helion.Config(block_sizes=[1024], num_warps=2)]).best()
    assert found.block_sizes == (1024,)
    measurer = simulated(peculiar)
    # one compiler, so that candidates are measured in the order in which they were proposed
    other = tuner(measurer, args=(torch.randn(5000), 2.0), autotune_precompile_jobs=1)
    assert other.best().block_sizes == (1024,)
    assert [1024] in [c.point["block_sizes"] for c in measurer.measured[:3]], [c.point for c in measurer.measured[:9]]


def test_strategies_and_caches_by_name(tuner, capfd, tmp_path):
    tuner(autotuner="DifferentialEvolutionSearch", autotune_cache=f"local:{tmp_path / 'other'}").best()
    assert "Starting DifferentialEvolutionSearch with population=40, generations=20, crossover_rate=0.8" in (
        capfd.readouterr().err
    )
    assert list((tmp_path / "other").glob("scaled/*.json"))
    with pytest.raises(exc.InvalidSetting, match="no strategy 'magic'"):
        tuner(autotuner="magic").best()
    with pytest.raises(exc.InvalidSetting, match="nowhere"):
        tuner(autotune_cache="nowhere")


def test_a_defect_of_ours_costs_its_config_and_is_told_once(tuner, monkeypatch, caplog):
    def defective(self, generated):
        raise AttributeError("no attribute 'size'")

    monkeypatch.setattr(Grids, "__call__", defective)
    searching = tuner(autotune_progress_bar=False)
    assert searching.best() is not None
    told = [r.getMessage() for r in caplog.records if r.levelname == "WARNING" and "left out" in r.getMessage()]
    assert len(told) == 1
    assert "HLN900" in told[0] and "no attribute 'size'" in told[0] and "please report" in told[0]
    failed = [t for t in searching.result.trials if not t.ok]
    assert failed and all("InternalError" in t.message for t in failed)


@helion.kernel(static_shapes=False)
def softmax_rows(x: torch.Tensor) -> torch.Tensor:
    out = torch.empty_like(x)
    n = hl.specialize(x.size(1))
    for tile in hl.tile(x.size(0)):
        out[tile, :] = torch.softmax(x[tile, :], -1) * n
    return out


def test_no_config_of_a_kernel_for_any_number_of_rows_meets_a_defect(problem_of, caplog):
    """Each of them is prepared: code, captured arguments, grid."""
    problem = problem_of(softmax_rows, torch.randn(33, 200))
    space, rng = problem.space(), np.random.default_rng(0)
    grids = {tuple(problem.payload(space.sample(rng))["launch"]["grid"]) for _ in range(60)}
    assert len(grids) > 3 and "left out" not in caplog.text


def test_bad_candidates_cost_themselves_only(tuner, simulated, capfd):
    def cruel(compiled):
        warps = compiled.point["num_warps"]
        if warps == 1:
            raise WrongResult("output 1: 5 of 4096 elements differ")
        if warps == 2:
            raise DeviceFault("an illegal memory access was encountered")
        return float(warps)

    assert tuner(simulated(cruel)).best().num_warps == 4
    text = capfd.readouterr().err
    assert "wrong: output 1" in text and "crash: an illegal memory access" in text


def test_given_configs_are_measured_once_ever(tuner, simulated, capfd):
    def preferring(compiled):
        return abs(compiled.point["block_sizes"][0] - 128) + 1.0

    first = tuner(simulated(preferring))
    assert first.fastest_given(CONFIGS[1:]).block_sizes == (128,)
    assert "Starting FiniteSearch" in capfd.readouterr().err
    measurer = simulated(preferring)
    assert tuner(measurer).fastest_given(CONFIGS).block_sizes == (128,)
    assert {c.point["block_sizes"][0] for c in measurer.measured} == {64}
    again = tuner(measurer)
    assert again.fastest_given(CONFIGS).block_sizes == (128,) and again.result is None


def test_a_given_config_that_does_not_compile_costs_itself_only(simulated, h100, capfd):
    @helion.kernel(autotune_precompile_jobs=2)
    def doubled(x: torch.Tensor) -> torch.Tensor:
        out = torch.empty_like(x)
        for tile_m, tile_n in hl.tile(x.size()):
            out[tile_m, tile_n] = x[tile_m, tile_n] * 2
        return out

    x = torch.randn(1024, 8192)
    tuner = Tuner(doubled.bind((x,)), (x,), h100, simulated())
    tiled = helion.Config(block_sizes=[512, 8192], num_warps=32)  # four million lanes, four times what Triton allows
    assert tuner.fastest_given([tiled, helion.Config(block_sizes=[4, 32])]).block_sizes == (4, 32)
    assert "compile_error" in capfd.readouterr().err
    with pytest.raises(exc.InvalidConfig):
        tuner.fastest_given([tiled, helion.Config(block_sizes=[7, 7])])


def test_none_of_the_given_works(tuner, simulated):
    def refuse(compiled):
        raise WrongResult("all zeros")

    with pytest.raises(exc.NoWorkingConfig, match="all zeros"):
        tuner(simulated(refuse)).fastest_given(CONFIGS)


def test_a_journal_is_resumed_and_removed(tuner, tmp_path):
    class Killed(BaseException):
        pass

    class Kill(Observer):
        count = 0

        def finished(self, trial, best, fraction, seconds):
            self.count += 1
            if self.count == 4:
                raise Killed

    first = tuner()
    first._observers.append(Kill())
    with pytest.raises(Killed):
        first.best()
    running = tmp_path / "cache" / "autotune" / "running"
    assert list(running.glob("*.jsonl"))
    second = tuner()
    second.best()
    assert second.result.statistics.resumed >= 1
    assert not list(running.glob("*.jsonl"))


class Interrupt(Observer):
    """Ends a search after some candidates as Ctrl-C does, or as `kill` would."""

    def __init__(self, after, error=KeyboardInterrupt):
        self.left, self.error = after, error

    def finished(self, trial, best, fraction, seconds):
        self.left -= 1
        if self.left == 0:
            raise self.error


def test_an_interrupted_search_is_used_here_and_gone_on_with_elsewhere(tuner):
    first = tuner()
    first._observers.append(Interrupt(4))
    first.best()
    assert first.result.stopped == "interrupted"
    second = tuner()
    second.best()
    assert second.result.stopped != "interrupted", "what little was measured is not the last word"
    assert second.result.statistics.resumed >= 1
    third = tuner()
    assert third.best() and third.result is None


@pytest.mark.parametrize("force", [False, True])
def test_a_journal_of_a_search_with_other_demands_is_no_obstacle(tuner, force):
    class Killed(BaseException):
        pass

    first = tuner()
    first._observers.append(Interrupt(4, Killed))
    with pytest.raises(Killed):
        first.best(force=not force)
    second = tuner()
    second.best(force=force)
    assert second.result.statistics.resumed == 0


def test_every_way_to_garble_the_cache_costs_a_search_and_no_call(tuner, tmp_path):
    tuner(autotune_budget_seconds=0.0).best()
    (file,) = (tmp_path / "cache" / "autotune" / "scaled").glob("*.json")
    whole = file.read_bytes()
    damaged = [whole[:n] for n in (0, 1, 50, len(whole) // 2, len(whole) - 2)]
    damaged += [
        bytes(len(whole)),
        whole.replace(b'"ok"', b'"ko"'),
        whole.replace(b'"milliseconds": ', b'"milliseconds": -'),
    ]
    damaged += [b"[" * 100_000, b"null", b'"schema"', whole.replace(b'"point": {', b'"point": [{', 1), b"\xff" + whole]
    damaged += [
        re.sub(rb'"num_warps": \d+', b'"num_warps": "many"', whole),
        re.sub(rb'"num_warps": \d+', b'"nw": 4', whole),
    ]
    for content in damaged:
        file.write_bytes(content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert tuner(autotune_budget_seconds=0.0).best().num_warps in (1, 2, 4, 8, 16, 32)


def test_plug_ins_of_others_that_cannot_be_used_are_nobodys_trouble(tuner, monkeypatch):
    import importlib.metadata

    import helion_autotune.registry as registry

    real = registry.entry_points
    broken = [importlib.metadata.EntryPoint(name, f"no_package{k}:X", "") for k, name in enumerate("aab")]
    monkeypatch.setattr(registry, "entry_points", lambda group: [*real(group=group), *broken])
    assert tuner(autotuner="GuidedSearch", autotune_budget_seconds=0.0).best()
    for name, reason in (("a", "claimed by"), ("b", "cannot be imported"), ("guidde", "no strategy 'guidde'")):
        with pytest.raises(exc.InvalidSetting, match=reason):
            tuner(autotuner=name, autotune_budget_seconds=0.0).best(force=True)
    for name, reason in (("a", "claimed by"), ("b", "cannot be imported"), ("packaged", "package")):
        with pytest.raises(exc.InvalidSetting, match=reason):
            tuner(autotune_cache=name)


def test_a_damaged_cache_file_is_set_aside(tuner, tmp_path):
    best = tuner().best()
    (file,) = (tmp_path / "cache" / "autotune" / "scaled").glob("*.json")
    file.write_text(file.read_text()[:100])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        again = tuner()
        assert again.best().keys() == best.keys() and again.result is not None
    assert any("set aside" in str(w.message) for w in caught)


def test_entries_say_where_they_come_from(tuner, tmp_path):
    tuner().best()
    (file,) = (tmp_path / "cache" / "autotune" / "scaled").glob("*.json")
    record = json.loads(file.read_text())
    (winner,) = [e for e in record["entries"] if e["winner"]]
    assert winner["provenance"].keys() >= {"device", "helion", "triton", "torch", "seconds"}
    assert record["key"]["target"] == "sm_90"


def test_shapes_share_a_config(scaled, simulated, h100):
    def by_size(compiled):  # the first size wants small blocks, the second large ones, and a third of it costs less
        block, size = compiled.point["block_sizes"][0], compiled.payload["launch"]["grid"][0]
        return 1.0 + block / 1e6 + size / 1e9

    def make(bound, args, target):
        return Tuner(bound, args, target, simulated(by_size))

    kernel = scaled(autotune_budget_seconds=2.0, autotune_log_level="ERROR")
    shapes = [(torch.randn(n), 2.0) for n in (900, 1000, 5000)]
    table = tune_shapes(kernel, shapes, None, False, h100, make)
    assert len(table.rows) == 3 and len(table.configs) == 2
    assert table.rows[0].config == table.rows[1].config
    assert all(row.loss >= -1e-6 for row in table.rows) and table.worst_loss < 0.5
    text = str(table)
    assert "2 configs for 3 shapes lose" in text and "@helion.kernel(config=" in text


def test_shapes_need_a_gpu(scaled):
    with pytest.raises(exc.UnsupportedDevice):
        scaled().autotune_shapes([ARGS])
