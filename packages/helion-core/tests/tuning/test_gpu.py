"""Tuning on a GPU: real processes, real times."""

from __future__ import annotations

import pytest
import torch

import helion
import helion.language as hl
from helion.tuning.measurer import GpuMeasurer
from helion.tuning.tuner import Tuner
from helion_autotune.errors import CandidateError

pytestmark = pytest.mark.gpu
CONFIGS = [helion.Config(block_sizes=[b], num_warps=w) for b, w in ((64, 1), (1024, 4), (4096, 8))]


@pytest.fixture
def x():
    return torch.randn(1 << 22, device="cuda")


def test_a_first_call_tunes_and_a_second_process_would_hit(scaled, x, capfd):
    kernel = scaled(autotune_budget_seconds=6.0)
    torch.testing.assert_close(kernel(x, 2.0), x * 2)
    assert "Autotuning complete" in capfd.readouterr().err
    again = scaled(autotune_budget_seconds=6.0)
    torch.testing.assert_close(again(x, 3.0), x * 3)
    assert "Autotuning" not in capfd.readouterr().err
    assert again.bind((x, 2.0)).config == kernel.bind((x, 2.0)).config


def test_the_fastest_of_given(scaled, x):
    kernel = scaled(configs=CONFIGS)
    torch.testing.assert_close(kernel(x, 2.0), x * 2)
    assert kernel.bind((x, 2.0)).config.block_sizes in ((64,), (1024,), (4096,))


def test_aliases_in_place_and_atomics():
    @helion.kernel(configs=CONFIGS)
    def accumulate(x: torch.Tensor, y: torch.Tensor, total: torch.Tensor) -> torch.Tensor:
        for tile in hl.tile(x.size(0)):
            x[tile] = x[tile] + y[tile]
            hl.atomic_add(total, [0], y[tile].sum())
        return x

    x, y = torch.randn(2, 1 << 20, device="cuda")
    total = torch.zeros(1, device="cuda")
    expected = x + y
    torch.testing.assert_close(accumulate(x, y, total), expected)
    torch.testing.assert_close(total[0], y.sum(), rtol=1e-3, atol=1.0)


class Corrupting(GpuMeasurer):
    """Gives some candidates a source that does something else."""

    def __init__(self, change) -> None:
        super().__init__(0)
        self._change = change

    def __call__(self, compiled, best_ms):
        payload = dict(compiled.payload)
        self._change(payload)
        object.__setattr__(compiled, "payload", payload)
        return super().__call__(compiled, best_ms)


def _with(kernel_change, only_block=64):
    def change(payload):
        if f"= {only_block}\n" in payload["source"]:
            payload["source"] = kernel_change(payload["source"])

    return change


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda s: s.replace("tl.store(out +", "tl.store(out + 10**12 +"), "crash"),
        (lambda s: s.replace("* factor", "* factor + 1"), "wrong"),
        (lambda s: s.replace("    pid =", "    while tl.load(x) == tl.load(x):\n        pass\n    pid ="), "timeout"),
    ],
    ids=["fault", "wrong", "hang"],
)
def test_survival(scaled, x, change, status):
    measurer = Corrupting(_with(change))
    args = (x, 2.0)
    bound = scaled().bind(args)
    tuner = Tuner(bound, args, bound.target, measurer)
    try:
        times = tuner.times_of(CONFIGS[::-1])
    finally:
        measurer.close()
    assert times[0] is not None and times[1] is not None
    statuses = {t.point["block_sizes"][0]: str(t.status) for t in tuner.result.trials}
    assert statuses[4096] == statuses[1024] == "ok"
    if statuses[64] == "ok":  # Triton may remove what was put in
        pytest.skip("the change was optimised away")
    assert statuses[64] == status


def test_a_measurer_without_isolation(scaled, x, problem_of):
    from helion.tuning.device import release

    measurer = GpuMeasurer(0, isolate=False)
    try:
        args = (x, 2.0)
        bound = scaled().bind(args)
        assert all(Tuner(bound, args, bound.target, measurer).times_of(CONFIGS))
    except CandidateError as error:
        pytest.fail(str(error))
    finally:
        release()
