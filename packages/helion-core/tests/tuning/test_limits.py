"""Candidates that are not even compiled."""

from __future__ import annotations

import pytest
import torch

import helion
import helion.language as hl
from helion.lower.layout import Layout
from helion.lower.limits import shared_bytes
from helion.runtime.targets import parse_target
from helion.tuning.limits import Limits
from helion.tuning.problem import Problem

TARGET = parse_target("sm_90")


@helion.kernel()
def product(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    m, k = x.size()
    n = y.size(1)
    out = torch.empty([m, n], dtype=x.dtype, device=x.device)
    for tile_m, tile_n in hl.tile([m, n]):
        acc = hl.zeros([tile_m, tile_n], dtype=torch.float32)
        for tile_k in hl.tile(k):
            acc = torch.addmm(acc, x[tile_m, tile_k], y[tile_k, tile_n])
        out[tile_m, tile_n] = acc
    return out


@pytest.fixture(scope="module")
def judge():
    x = torch.empty(4096, 4096, dtype=torch.bfloat16, device="meta")
    problem = Problem(product.bind((x, x)), (x, x), TARGET)
    default = problem.space().default()
    limits = Limits(problem.spec, TARGET)
    yield lambda **changes: limits.allow({**default, **changes})
    problem.close()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"block_sizes": [64, 64, 256], "static_ranges": [True], "num_warps": 2}, "compile for too long"),
        ({"range_unroll_factors": [4]}, "exceed shared memory"),
        ({"block_sizes": [128, 256, 64], "num_warps": 4}, "exceed the registers"),
        ({"block_sizes": [256, 256, 64], "num_warps": 8, "num_stages": 8}, "exceed"),
        # ptxas: "Insufficient registers (128) to compile instruction. Try to compile with register target of 154"
        ({"block_sizes": [128, 512, 32], "num_warps": 16, "num_stages": 2}, "exceed the registers"),
        (
            {"block_sizes": [128, 128, 64], "num_warps": 8, "pid_type": "persistent_blocked", "maxnreg": 64},
            "exceed the registers",
        ),
        (
            {"block_sizes": [64, 64, 64], "num_warps": 32, "pid_type": "persistent_blocked", "maxnreg": 96},
            "more than a multiprocessor has",
        ),
    ],
)
def test_what_cannot_pay_is_rejected(judge, changes, reason) -> None:
    assert reason in judge(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"block_sizes": [64, 64, 64], "static_ranges": [True], "num_warps": 2},  # 64 iterations: left to tl.range
        {"block_sizes": [64, 64, 256], "num_warps": 2, "num_stages": 2},
        {"block_sizes": [128, 256, 64], "num_warps": 8},
        {"block_sizes": [64, 64, 64], "num_warps": 32, "pid_type": "persistent_blocked", "maxnreg": 64},
        {"block_sizes": [128, 128, 64], "num_warps": 8, "pid_type": "flat", "maxnreg": 64},  # of persistent ones alone
        {"block_sizes": [128, 128, 64], "num_warps": 8, "pid_type": "persistent_blocked", "maxnreg": 96},
        {"block_sizes": [64, 64, 32], "range_unroll_factors": [2], "num_warps": 4},
    ],
)
def test_what_may_pay_is_not(judge, changes) -> None:
    assert judge(**changes) is None


@pytest.mark.parametrize("target", ["sm_80", "sm_90"])
@pytest.mark.parametrize(
    "changes",
    [
        {"block_sizes": [128, 256, 64], "num_stages": 3, "num_warps": 8},
        {"block_sizes": [32, 128, 64], "num_stages": 4, "num_warps": 4},  # too few rows for wgmma
        {"block_sizes": [64, 64, 64], "num_stages": 2, "range_num_stages": [4], "num_warps": 4},
        {"block_sizes": [64, 64, 32], "num_stages": 3, "range_unroll_factors": [2], "num_warps": 4},
        {"block_sizes": [128, 128, 64], "num_stages": 1, "range_unroll_factors": [2], "num_warps": 8},
    ],
)
def test_shared_memory_is_estimated_as_triton_takes_it(target, changes):
    x = torch.empty(4096, 4096, dtype=torch.bfloat16, device="meta")
    bound, target = product.bind((x, x)), parse_target(target)
    config, notes = bound.default_config(target).replace(pid_type="flat", indexing="pointer", **changes).repair(
        bound.spec_for(target)
    )  # fmt: skip
    assert not notes
    problem = Problem(bound, (x, x), target)
    try:
        point, limits = problem.point(config), Limits(problem.spec, target)
        layout = Layout(bound.program, dict(zip(bound.program.blocks, point["block_sizes"], strict=True)))
        estimate = shared_bytes(
            bound.program, layout, point["num_stages"], point["num_warps"], target, limits._pipelines(point)
        )
    finally:
        problem.close()
    assert bound.compile_for(target, config).shared_memory == pytest.approx(estimate, rel=0.05)


@helion.kernel()
def doubled_and_summed(x: torch.Tensor) -> torch.Tensor:
    out = torch.empty([x.size(0)], dtype=x.dtype, device=x.device)
    for tile_m in hl.tile(x.size(0)):
        total = hl.zeros([tile_m], dtype=torch.float32)
        for tile_n in hl.tile(x.size(1)):
            total += (x[tile_m, tile_n] * 2).sum(1)
        out[tile_m] = total
    return out


def test_a_loop_without_products_stages_its_loads_where_it_says_how_deep():
    x = torch.empty(4096, 4096, device="meta")
    problem = Problem(doubled_and_summed.bind((x,)), (x,), TARGET)
    try:
        limits, default = Limits(problem.spec, TARGET), problem.space().default()
        allowed = [
            limits.allow({**default, "block_sizes": [64, 256], "num_warps": 8, "range_num_stages": [n], **more})
            for n, more in ((0, {}), (1, {}), (3, {}), (3, {"range_unroll_factors": [4]}))
        ]
    finally:
        problem.close()
    assert allowed[:3] == [None] * 3 and "shared memory" in str(allowed[3])
