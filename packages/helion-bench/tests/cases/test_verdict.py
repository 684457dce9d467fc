import math

import pytest
import torch

from helion_bench.cases import verdict as verdict_module
from helion_bench.cases.results import Results
from helion_bench.cases.verdict import TOLERANCES, compare, compare_tensor


def truth():
    return torch.linspace(-4, 4, 101, dtype=torch.float64)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_rounding_is_right_and_twice_the_tolerance_is_not(dtype):
    assert compare_tensor("output", truth().to(dtype), truth()).ok
    off = truth().clone()
    off[50] += 2 * TOLERANCES[dtype] * (off[50].abs() + truth().square().mean().sqrt())
    verdict = compare_tensor("output", off.to(torch.float64).to(dtype), truth())
    assert not verdict.ok and "1 of 101 elements of output are off" in verdict.problem
    assert verdict.accuracy.max_rel == pytest.approx(2 * TOLERANCES[dtype], rel=0.2)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_must_be_where_the_truth_has_it(value):
    exact = truth()
    exact[7] = value
    assert compare_tensor("output", exact.float(), exact).ok
    for wrong, right in ((truth(), exact), (exact, truth())):
        verdict = compare_tensor("output", wrong.float(), right)
        assert not verdict.ok and verdict.accuracy.max_abs is None
    other = truth()
    other[7] = -value
    if value == math.inf:
        assert not compare_tensor("output", other.float(), exact).ok


def test_shapes_and_results_that_are_missing():
    exact = Results((truth(),), {"x": truth()})
    assert "no gradient of x" in compare(Results((truth().float(),)), exact).problem
    assert "has shape [101, 1]" in compare(Results((truth()[:, None].float(),)), Results((truth(),))).problem
    assert "is int32" in compare(Results((truth().int(),)), Results((truth(),))).problem


def test_empty_results_are_right():
    empty = torch.zeros(0, 3, dtype=torch.float64)
    assert compare_tensor("output", empty.float(), empty).ok


def test_a_truth_of_zeros_allows_zeros_only():
    zeros = torch.zeros(10, dtype=torch.float64)
    assert compare_tensor("output", zeros.float(), zeros).ok
    assert not compare_tensor("output", zeros.float() + 1e-20, zeros).ok


def test_the_worst_tensor_decides():
    exact = Results((truth(),), {"x": truth()})
    close, far = truth() * (1 + 1e-6), truth() * 1.5
    verdict = compare(Results((close.float(),), {"x": far.float()}), exact)
    assert "elements of gradient of x are off" in verdict.problem


def test_the_rounding_of_a_large_row_is_allowed_there_and_nowhere_else():
    exact = torch.ones(100, 8, dtype=torch.float64)
    exact[0] = torch.tensor([100.0, -100.0, 100.0, -100.0, 100.0, -100.0, 100.0, 0.0])
    cancelled = exact.clone()
    cancelled[0, 7] = 0.9 * TOLERANCES[torch.float32] * 93.5
    assert compare_tensor("output", cancelled.float(), exact).ok
    elsewhere = exact.clone()
    elsewhere[1, 7] += cancelled[0, 7]
    assert not compare_tensor("output", elsewhere.float(), exact).ok


def test_a_row_of_one_element_has_no_scale_of_its_own():
    exact = truth()[:, None]
    off = exact * (1 + 1.9 * TOLERANCES[torch.float32])
    assert not compare_tensor("output", off.float(), exact).ok
    assert compare_tensor("output", torch.tensor(2.0), torch.tensor(2.0, dtype=torch.float64)).ok
    assert not compare_tensor("output", torch.tensor(2.1), torch.tensor(2.0, dtype=torch.float64)).ok


@pytest.mark.parametrize("chunk", [1, 7, 24, 1000])
def test_parts_make_no_difference(monkeypatch, chunk):
    random = torch.Generator().manual_seed(0)
    exact = torch.randn(3, 5, 12, generator=random, dtype=torch.float64) * 10.0 ** torch.arange(5)[:, None]
    exact[1, 2, 3], exact[0, 0] = math.nan, math.inf
    got = exact.to(torch.bfloat16)
    whole = compare_tensor("output", got, exact)
    monkeypatch.setattr(verdict_module, "_CHUNK", chunk)
    parts = compare_tensor("output", got, exact)
    assert whole.ok and parts.accuracy.max_rel == pytest.approx(whole.accuracy.max_rel)
    assert parts.accuracy.max_abs == whole.accuracy.max_abs
