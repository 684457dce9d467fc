"""What the rules of default configs see and choose."""

import pytest
import torch

import helion
import helion.language as hl
from helion.lower.defaults import plans
from helion.runtime.targets import parse_target

TARGET = parse_target("sm_90")


def first_plan(kernel, *args, target="sm_90"):
    program = kernel.bind(args).program
    plan = next(plans(program, parse_target(target)))
    return plan, {block.name: size for block, size in plan.block_sizes.items()}


def batched(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    b, m, k = x.size()
    n = y.size(2)
    out = torch.empty([b, m, n], dtype=x.dtype, device=x.device)
    for tile_b, tile_m, tile_n in hl.tile([b, m, n], block_size=[1, None, None]):
        acc = hl.zeros([tile_m, tile_n], dtype=torch.float32)
        for tile_k in hl.tile(k):
            acc = torch.addmm(acc, x[tile_b.begin, tile_m, tile_k], y[tile_b.begin, tile_k, tile_n])
        out[tile_b.begin, tile_m, tile_n] = acc
    return out


def halves(*size):
    return torch.empty(size, dtype=torch.bfloat16)


def test_batches_of_a_fixed_block_size_count_as_programs():
    kernel = helion.kernel(batched)
    _, large = first_plan(kernel, halves(64, 512, 64), halves(64, 64, 512))
    _, small = first_plan(kernel, halves(2, 512, 64), halves(2, 64, 512))
    assert large == {"BLOCK_M": 128, "BLOCK_N": 256, "BLOCK_K": 64}
    assert small["BLOCK_M"] * small["BLOCK_N"] < 128 * 256


def test_products_in_full_precision_have_small_tiles():
    args = torch.empty(8, 512, 64), torch.empty(8, 64, 512)
    exact, sizes = first_plan(helion.kernel(dot_precision="ieee")(batched), *args)
    _, fast = first_plan(helion.kernel(dot_precision="tf32")(batched), *args)
    assert sizes["BLOCK_M"] * sizes["BLOCK_N"] <= 64 * 64 < fast["BLOCK_M"] * fast["BLOCK_N"]
    assert exact.indexing == "pointer"


@helion.kernel()
def four_products(q: torch.Tensor, k: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    m, d = q.size()
    n, d = k.size(0), hl.specialize(d)
    first, second = torch.empty_like(k), torch.empty_like(k)
    for tile_n in hl.tile(n):
        key = k[tile_n, :]
        a = hl.zeros([tile_n, d], dtype=torch.float32)
        b = hl.zeros([tile_n, d], dtype=torch.float32)
        for tile_m in hl.tile(m):
            query = q[tile_m, :]
            scores = hl.dot(key, query.T)
            a = torch.addmm(a, scores.to(q.dtype), query)
            b = torch.addmm(b, (scores * hl.dot(key, query.T)).to(q.dtype), query)
        first[tile_n, :], second[tile_n, :] = a.to(k.dtype), b.to(k.dtype)
    return first, second


def test_two_accumulators_leave_room_for_two_programs():
    """As measured on an H100: `ATTENTION_BACKWARD_TILES`."""
    plan, sizes = first_plan(four_products, halves(4096, 128), halves(4096, 128))
    assert plan.num_warps == 4 and sizes == {"BLOCK_N": 64, "BLOCK_M": 64}


@pytest.mark.parametrize(
    ("pipelined", "shallow", "stages"), [(1000, 100, 1), (1000, 900, 2), (200, 0, 2), (1000, None, 2)]
)
def test_what_spills_far_less_without_pipelining_is_not_pipelined(monkeypatch, pipelined, shallow, stages):
    bound = helion.kernel(four_products.fn).bind((halves(4096, 128), halves(4096, 128)))
    first = bound.spec_for(TARGET).default()
    assert first.num_stages == 2
    spills = {first: pipelined, first.replace(num_stages=1): shallow}
    monkeypatch.setattr(type(bound), "_spills", lambda self, config, target: spills[config])
    assert bound.default_config(TARGET) == first.replace(num_stages=stages)


def test_targets_have_names():
    bound = helion.kernel(four_products.fn).bind((halves(512, 128), halves(512, 128)))
    assert bound.compile_for("sm_90") == bound.compile_for(parse_target("sm_90"))


@helion.kernel()
def middle_sums(x: torch.Tensor) -> torch.Tensor:
    outer, _, inner = x.size()
    out = torch.empty([outer, inner], dtype=x.dtype, device=x.device)
    for tile_o, tile_i in hl.tile([outer, inner]):
        out[tile_o, tile_i] = x[tile_o, :, tile_i].to(torch.float32).sum(1)
    return out


@pytest.mark.parametrize(
    ("size", "width"), [((4, 512, 4096), 16), ((64, 1024, 32), 16), ((2, 16384, 32), 16), ((512, 4096, 3), 4)]
)
def test_sums_across_memory_take_whole_sectors(size, width):
    """32 bytes, which memory hands out whether all of them are wanted or not."""
    plan, sizes = first_plan(middle_sums, halves(*size))
    assert sizes == {"BLOCK_O": 1, "BLOCK_I": width}
    held = size[1] * width <= 32768
    assert held if plan.reduction_loop is None else plan.reduction_loop * width == 8192


@helion.kernel()
def column_sums(x: torch.Tensor) -> torch.Tensor:
    out = torch.empty([x.size(1)], dtype=x.dtype, device=x.device)
    for tile_n in hl.tile(x.size(1)):
        out[tile_n] = x[:, tile_n].to(torch.float32).sum(0)
    return out


@helion.kernel()
def batches_of_row_sums(x: torch.Tensor) -> torch.Tensor:
    out = torch.empty([x.size(0), x.size(1)], dtype=x.dtype, device=x.device)
    for tile_b, tile_m in hl.tile([x.size(0), x.size(1)]):
        out[tile_b, tile_m] = x[tile_b, tile_m, :].to(torch.float32).sum(2)
    return out


def test_what_is_read_decides_whether_sums_run_across_memory():
    """A matrix without other tiled dims is read so, and results that are neighbours say nothing of it."""
    plan, sizes = first_plan(column_sums, halves(8192, 4096))
    assert (sizes, plan.num_warps, plan.reduction_loop) == ({"BLOCK_N": 16}, 8, 512)
    plan, sizes = first_plan(batches_of_row_sums, halves(8, 512, 8192))
    assert (sizes, plan.num_warps, plan.reduction_loop) == ({"BLOCK_B": 1, "BLOCK_M": 1}, 8, None)


@helion.kernel()
def middle_softmax(x: torch.Tensor) -> torch.Tensor:
    out = torch.empty_like(x)
    for tile_o, tile_i in hl.tile([x.size(0), x.size(2)]):
        out[tile_o, :, tile_i] = torch.softmax(x[tile_o, :, tile_i], dim=1)
    return out


@pytest.mark.parametrize("size", [(2, 5000, 64), (2, 9000, 33)])
def test_long_rows_across_memory_do_not_spill(size):
    """Every element has an address of its own, which in 32 warps has no register; of odd neighbours, nor in 16."""
    assert middle_softmax.bind((torch.zeros(size),)).compile_for("sm_90").spills == 0
