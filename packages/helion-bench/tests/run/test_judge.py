"""Where rounding exceeds the tolerance, torch's own result decides: what rounds is right, what is wrong is found.

As for the gradient of q in causal attention, which is 0 for the first query and the difference of large numbers for the
next few. Here the tolerance is tightened until torch exceeds it, which takes 67 million elements otherwise.
"""

import dataclasses
import math

import pytest
import torch

from helion_bench.cases import verdict as verdict_module
from helion_bench.cases.attention import Attention, heads
from helion_bench.cases.results import Results
from helion_bench.cases.verdict import MOST, TOLERANCES
from helion_bench.results.model import CaseKey
from helion_bench.run.calls import Problem, bind
from helion_bench.run.judge import Judge

SHAPE = heads(1, 2, 512, 64, causal=True)
TIGHT = 0.01  # of gradients


@pytest.fixture(scope="module")
def case():
    """The problem, its truth, and what torch computes in bfloat16."""
    key = CaseKey("attention", SHAPE.label, tuple(SHAPE.sizes.items()), "bfloat16", "bwd")
    problem = Problem.make(key, Attention(), "cpu")
    return problem, problem.expected(), computed(problem, problem.operation.eager)


def computed(problem, function):
    bound = bind(problem, function)
    return bound.results(bound.call())


class Fixed(Attention):
    """With a truth that is computed once, and torch's result replaced, if by anything."""

    truth = None

    def reference(self, sizes, inputs, gradient):
        return self.truth


@pytest.fixture
def judge(case, monkeypatch):
    monkeypatch.setattr(verdict_module, "GRADIENTS_MORE", TIGHT / TOLERANCES[torch.bfloat16])
    problem, truth, _ = case
    operation = Fixed()
    operation.truth = truth
    fixed = dataclasses.replace(problem, operation=operation)
    made = Judge(fixed)
    return lambda results: made(fixed, results)


def changed(results, what, change):
    """A copy of `results` in which `change` was applied to one of them."""
    named = {name: tensor.clone() for name, tensor in results.named().items()}
    change(named[what])
    return Results((named["output"],), {name: named[f"gradient of {name}"] for name in "qkv"})


def test_torch_itself_is_beyond_the_tolerance_and_right(case, judge):
    problem, truth, eager = case
    assert not problem.operation.verify(problem.inputs, problem.gradient, eager, truth).ok
    verdict = judge(eager)
    assert verdict.ok and verdict.accuracy.ok and verdict.accuracy.max_rel > TIGHT
    assert verdict.accuracy.reference == "float64, and torch's own result in the same dtype"


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("what", ["output", "gradient of q", "gradient of k", "gradient of v"])
def test_rounding_as_large_as_torchs_is_right_wherever_it_goes(case, judge, what, seed):
    """Errors of the same sizes with other signs, and another last bit where terms cancel."""
    _, truth, eager = case
    exact = truth.named()[what]
    random = torch.Generator().manual_seed(seed)

    def other_rounding(tensor):
        signs = torch.randint(0, 2, tensor.shape, generator=random) * 2 - 1
        tensor.copy_(exact + signs * (tensor.double() - exact))
        tensor[:, :, :4] *= 1 + torch.randint(-1, 2, tensor[:, :, :4].shape, generator=random) * 2.0**-8

    assert judge(changed(eager, what, other_rounding)).ok


def masked(change):
    seen = torch.ones(512, 512, dtype=torch.bool).tril()
    change(seen)

    def attention(q, k, v, causal):
        return torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=seen)

    return attention


def unscaled(q, k, v, causal):
    """Of the second head, the scores are not divided by √d."""
    factor = torch.tensor([1.0, q.size(-1) ** 0.5], dtype=q.dtype)[None, :, None, None]
    return torch.nn.functional.scaled_dot_product_attention(q * factor, k, v, is_causal=True)


WRONG = {
    "a key ahead": masked(lambda seen: seen.logical_or_(torch.ones_like(seen).tril(1))),
    "a key behind": masked(lambda seen: seen[1:].logical_and_(torch.ones_like(seen).tril(-1)[1:])),
    "a tile skipped": masked(lambda seen: seen[448:, 64:128].fill_(False)),
    "no scale in a head": unscaled,
}


@pytest.mark.parametrize("function", WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_found(case, judge, function):
    problem, _, _ = case
    verdict = judge(computed(problem, function))
    assert not verdict.ok and "of torch's own" in verdict.problem and not verdict.accuracy.ok


@pytest.mark.parametrize("what", ["output", "gradient of q", "gradient of k", "gradient of v"])
@pytest.mark.parametrize("row", [2, 300, 450])
def test_one_wrong_row_is_found(case, judge, what, row):
    """That of another head."""

    def other_head(tensor):
        tensor[0, 1, row] = tensor[0, 0, row]

    assert not judge(changed(case[2], what, other_head)).ok


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_one_element_that_is_not_finite_is_found(case, judge, value):
    def spoil(tensor):
        tensor[0, 1, 7, 3] = value

    verdict = judge(changed(case[2], "gradient of k", spoil))
    assert not verdict.ok and "by up to inf" in verdict.problem


def test_as_far_off_as_torch_in_far_more_elements_is_found(case, judge):
    def everywhere(tensor):
        tensor *= 1 + 2 * TIGHT

    verdict = judge(changed(case[2], "gradient of v", everywhere))
    assert not verdict.ok and "elements of gradient of v are off" in verdict.problem


def test_a_torch_that_is_wrong_itself_excuses_nothing(case, monkeypatch):
    problem, truth, _ = case

    class Spoilt(Fixed):
        def eager(self, **inputs):
            return unscaled(**inputs)

    operation = Spoilt()
    operation.truth = truth
    problem = dataclasses.replace(problem, operation=operation)
    judge = Judge(problem)
    verdict = judge(problem, computed(problem, operation.eager))
    assert not verdict.ok and verdict.accuracy.max_rel > MOST * verdict.accuracy.tolerance_rel


def test_without_torchs_result_the_tolerance_alone_decides(case, monkeypatch):
    monkeypatch.setattr(verdict_module, "GRADIENTS_MORE", TIGHT / TOLERANCES[torch.bfloat16])
    problem, truth, eager = case
    calls = []

    class Unable(Fixed):
        def eager(self, **inputs):
            calls.append(inputs)
            raise torch.OutOfMemoryError("CUDA out of memory")

    operation = Unable()
    operation.truth = truth
    problem = dataclasses.replace(problem, operation=operation)
    judge = Judge(problem)
    verdicts = [judge(problem, eager) for _ in range(2)]
    assert not any(v.ok for v in verdicts) and "torch's own" not in verdicts[0].problem
    assert len(calls) == 1, "it is tried once"
    with pytest.raises(torch.OutOfMemoryError):
        Judge(problem, fatal=lambda error: "out of memory" in str(error))(problem, eager)


def test_torch_is_not_asked_where_the_tolerance_decides(case):
    problem, truth, eager = case

    class Silent(Fixed):
        def eager(self, **inputs):
            raise AssertionError("it was asked")

    operation = Silent()
    operation.truth = truth
    problem = dataclasses.replace(problem, operation=operation)
    assert Judge(problem, fatal=lambda error: True)(problem, eager).ok
