"""Causal attention in bfloat16: what rounds is right, what is wrong is found.

Its first rows are tens of times as large as the whole tensor's root mean square.
"""

import pytest
import torch
from torch.nn import functional as F

from helion_bench.cases.attention import Attention, heads
from helion_bench.cases.results import Results
from helion_bench.cases.verdict import TOLERANCES
from helion_bench.results.model import CaseKey
from helion_bench.run.calls import Problem, bind

SHAPE = heads(1, 2, 512, 64, causal=True)


@pytest.fixture(scope="module")
def problem():
    case = CaseKey("attention", SHAPE.label, tuple(SHAPE.sizes.items()), "bfloat16", "bwd")
    return Problem.make(case, Attention(), "cpu")


@pytest.fixture(scope="module")
def judged(problem):
    """The verdict on what a function of q, k, v and a mask of what is seen computes in bfloat16."""
    expected = problem.expected()

    def judge(function):
        bound = bind(problem, function)
        return problem.operation.verify(problem.inputs, problem.gradient, bound.results(bound.call()), expected)

    return judge


def masked(change):
    """Attention by torch with a causal mask that `change` was applied to."""

    def attention(q, k, v, causal):
        seen = torch.ones(q.size(2), k.size(2), dtype=torch.bool).tril()
        change(seen)
        return F.scaled_dot_product_attention(q, k, v, attn_mask=seen)

    return attention


def by_hand(q, k, v, causal):
    """The formula, with scores and probabilities rounded to bfloat16, as no kernel would."""
    scores = (q @ k.transpose(-1, -2)) * q.size(-1) ** -0.5
    future = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
    return scores.masked_fill(future, float("-inf")).softmax(-1) @ v


def no_change(seen):
    """The mask as it is."""


@pytest.mark.parametrize(
    "function", [masked(no_change), Attention().eager, by_hand], ids=["masked", "torch", "formula"]
)
def test_rounding_is_right(judged, function):
    verdict = judged(function)
    assert verdict.ok, verdict.problem
    assert verdict.used > 0.05


def test_the_tensor_alone_would_call_it_worse(problem, judged):
    exact = problem.expected().named()["gradient of k"]
    got = bind(problem, by_hand).call()[1].double()
    by_tensor = ((got - exact).abs() / (exact.abs() + exact.square().mean().sqrt())).max()
    assert by_tensor > TOLERANCES[torch.bfloat16] and by_tensor > 2 * judged(by_hand).accuracy.max_rel


def ahead(seen):
    seen |= torch.ones_like(seen).tril(1)


def behind(seen):
    seen[1:] &= torch.ones_like(seen).tril(-1)[1:]


def skipped(seen):
    seen[448:, 64:128] = False


@pytest.mark.parametrize("change", [ahead, behind, skipped], ids=lambda f: f.__name__)
def test_wrong_masks_are_found(judged, change):
    assert not judged(masked(change)).ok


@pytest.mark.parametrize(
    ("what", "rows"),
    [("output", (0, 1, 300, 511)), ("gradient of q", (1, 300, 511)), ("gradient of k", (0, 1, 300, 450)),
     ("gradient of v", (0, 1, 300, 450))],
)  # fmt: skip
def test_one_wrong_row_is_found(problem, what, rows):
    """That of another head. The last keys have next to no gradient, which is lost in the tensor's mean."""
    expected = problem.expected()
    for row in rows:
        spoilt = {name: t.bfloat16() for name, t in expected.named().items()}
        spoilt[what][0, 1, row] = spoilt[what][0, 0, row]
        results = Results((spoilt["output"],), {name: spoilt[f"gradient of {name}"] for name in "qkv"})
        verdict = problem.operation.verify(problem.inputs, problem.gradient, results, expected)
        assert not verdict.ok and f"elements of {what} are off" in verdict.problem
