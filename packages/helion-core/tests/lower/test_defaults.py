"""What the rules of default configs see and choose."""

import pytest
import torch

import helion
import helion.language as hl
from helion.lower.defaults import MATMUL_TILES, plans
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


@helion.kernel()
def product(x: torch.Tensor, y: torch.Tensor, dtype: torch.dtype = torch.bfloat16) -> torch.Tensor:
    m, k, n = x.size(0), x.size(1), y.size(1)
    out = torch.empty([m, n], dtype=dtype, device=x.device)
    for tile_m, tile_n in hl.tile([m, n]):
        acc = hl.zeros([tile_m, tile_n], dtype=torch.float32)
        for tile_k in hl.tile(k):
            acc = hl.dot(x[tile_m, tile_k], y[tile_k, tile_n], acc=acc)
        out[tile_m, tile_n] = acc
    return out


def tile(m, n, k, dtype=torch.bfloat16, kernel=product, target="sm_90"):
    """Rows and columns of the first plan's tile. The right operand is a transposed weight."""
    x, y = torch.empty(m, k, dtype=dtype), torch.empty(n, k, dtype=dtype).t()
    _, sizes = first_plan(kernel, x, y, target=target)
    return sizes["BLOCK_M"], sizes["BLOCK_N"]


@pytest.mark.parametrize("size", [(2048, 5120, 5120), (3072, 3072, 4096)])
def test_a_last_wave_of_few_large_tiles_is_avoided(size):
    """As measured on an H100: 153.6 us instead of 161.4, and 134.6 instead of 137.7."""
    m, n, k = size
    assert tile(m, n, k) == (64, 256)
    plan, _ = first_plan(product, halves(m, k), halves(k, n))
    assert (plan.num_warps, plan.num_stages, plan.l2_grouping) == (4, 4, 16)
    assert (plan.pid_type, plan.indexing) == ("persistent_interleaved", "tensor_descriptor")


@pytest.mark.parametrize("size", [(1500, 3072, 6144), (1024, 5120, 4096), (8192, 640, 4096)])
def test_the_larger_of_tiles_that_take_about_as_long_goes_first(size):
    """As measured on an H100: 108.5, 76.7 and 87.3 us, with 64x256 117.6, 83.6 and 129.4."""
    m, n, k = size
    assert tile(m, n, k) == (128, 128)
    plan, _ = first_plan(product, halves(m, k), halves(n, k).t())
    assert (plan.num_warps, plan.num_stages, plan.l2_grouping) == (8, 6, 16)
    assert (plan.pid_type, plan.indexing) == ("flat", "tensor_descriptor")


@pytest.mark.parametrize(
    "size",
    [(512, 5120, 4096), (768, 4096, 4096), (1024, 3072, 4096), (1536, 1536, 4096), (1536, 1536, 1536),
     (768, 4096, 1024)],
)  # fmt: skip
def test_one_wave_of_large_tiles_is_better_than_two_of_halves(size):
    """As measured on an H100: 46.8 to 51.4 us for the first four, with 128x128 54.4 to 58.6."""
    assert tile(*size) == (128, 256)


@pytest.mark.parametrize("size", [(768, 4096, 4096), (1024, 5120, 4096)])
def test_large_results_leave_fewer_stages_to_the_same_tile(size):
    """Two stages of 128x256 are what has room beside a tile of float32; of 128x128, it is five."""
    m, n, k = size
    bound = product.bind((halves(m, k), torch.empty(n, k, dtype=torch.bfloat16).t(), torch.float32))
    config = bound.default_config(TARGET)
    assert (config.block_sizes[:2], config.num_stages) == ((128, 128), 5)


def test_results_written_by_pointers_take_no_larger_tile():
    """With 128x256 and an epilogue, their addresses spill."""
    assert tile(768, 4096, 4096) == (128, 256) and tile(768, 4095, 4096) == (128, 128)


@pytest.mark.parametrize(
    "size",
    [(3000, 4096, 4096), (4096, 4096, 4096), (8192, 8192, 8192), (8192, 14336, 4096), (4096, 4096, 14336),
     (5120, 5120, 2048)],
)  # fmt: skip
def test_large_tiles_stay_where_their_last_wave_is_full_or_one_of_many(size):
    """Of the first, measured on an H100: 132.8 us, with 64x256 147.7, with 128x128 157."""
    assert tile(*size) == (128, 256)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (66 * 128, (128, 256)),  # 132 tiles: all in one wave
        (66 * 128 + 1, (128, 128)),  # 134, and 132 multiprocessors: a second wave. Of half the tiles, 268: three
        (99 * 128, (128, 128)),  # 396 halves: three full waves
        (99 * 128 + 1, (128, 256)),  # 398: a fourth
    ],
)
def test_a_wave_of_few_programs_counts_as_a_whole_one(rows, expected):
    assert tile(rows, 512, 4096) == expected


@pytest.mark.parametrize(("batch", "expected"), [(2, (128, 256)), (3, (128, 128)), (4, (128, 256))])
def test_batches_count_in_waves(batch, expected):
    """Of 64 tiles each: 128 in one wave, 192 in two (384 halves in three), 256 in two."""
    right = halves(batch, 1024, 4096).transpose(1, 2)
    _, sizes = first_plan(helion.kernel(batched), halves(batch, 2048, 4096), right)
    assert (sizes["BLOCK_M"], sizes["BLOCK_N"]) == expected


def test_operands_that_lie_otherwise_than_measured_keep_the_large_tile():
    """On an H100, [3000, 5000] @ [5000, 2000] takes 151 us in tiles of 128x128, and [2000, 3000] @ [3000, 5000], whose
    left operand is a transposed one, 195 us in tiles of 64x256; in tiles of 128x256, 120 and 132.
    """

    def chosen(x, y):
        _, sizes = first_plan(product, x, y)
        return sizes["BLOCK_M"], sizes["BLOCK_N"]

    assert chosen(halves(3000, 5000), halves(5000, 2000)) == (128, 256)
    assert chosen(halves(3000, 2000).t(), halves(3000, 5000)) == (128, 256)
    assert chosen(halves(2048, 5120), halves(5120, 5120)) == (64, 256)
    assert chosen(halves(5120, 2048).t(), halves(5120, 5120)) == (128, 256), "the left one does not run along the depth"
    assert chosen(halves(1500, 6144), halves(3072, 6144).t()) == (128, 128)
    assert chosen(halves(1500, 6144), halves(6144, 3072)) == (64, 256), "nor does the right one"
    assert chosen(halves(2048, 5128)[:, :5120], halves(5120, 5120)) == (128, 256), "rows begin within lines"


def test_loops_shorter_than_measured_keep_the_large_tile():
    """Their length is counted in bytes, as the depth of a tile."""
    assert tile(2048, 5120, 512) == tile(2048, 5120, 1024, torch.float8_e4m3fn) == (128, 256)
    assert tile(2048, 5120, 1024) == tile(2048, 5120, 2048, torch.float8_e4m3fn) == (64, 256)


def test_few_programs_keep_their_tile():
    """One wave of 128x128 is done before one of 128x256; where it would leave many multiprocessors idle, tiles without
    a speed are smaller.
    """
    assert tile(512, 4096, 4096) == (128, 128)
    assert tile(256, 4096, 4096) == (64, 128)
    assert tile(320, 6144, 4096) == (64, 256)  # in one wave, where 128x128 needs a second


def test_a_tile_that_is_cut_is_not_compared():
    assert tile(128 * 140, 128, 4096)[1] == 128
    plan, _ = first_plan(product, halves(128 * 140, 4096), halves(4096, 128))
    assert plan.reason == MATMUL_TILES["sm_90"][0].reason


def test_of_two_tiles_as_large_the_first_says_whether_they_are_too_large():
    """64x256 would have 128 programs, of which a third of the columns are none; 128x128 has 96."""
    assert tile(4096, 384, 4096) == (64, 128)


@pytest.mark.parametrize("target", ["sm_80", "sm_100", "gfx942"])
def test_waves_are_counted_only_with_measured_speeds(target):
    assert all(t.speed is None for name, tiles in MATMUL_TILES.items() if name != "sm_90" for t in tiles)
    assert tile(2048, 5120, 5120, target=target) == tile(4096, 4096, 4096, target=target)


@helion.kernel(static_shapes=False)
def product_of_1280_columns(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    m, k, n = x.size(0), hl.specialize(x.size(1)), hl.specialize(y.size(1))
    out = torch.empty([m, n], dtype=torch.float32, device=x.device)
    for tile_m, tile_n in hl.tile([m, n]):
        acc = hl.zeros([tile_m, tile_n], dtype=torch.float32)
        for tile_k in hl.tile(k):
            acc = hl.dot(x[tile_m, tile_k], y[tile_k, tile_n], acc=acc)
        out[tile_m, tile_n] = acc
    return out


def test_waves_are_not_counted_where_sizes_are_unknown():
    assert tile(4096, 1280, 4096) == (128, 128)
    assert tile(4096, 1280, 4096, kernel=product_of_1280_columns) == (128, 256)


def test_what_is_read_by_pointers_keeps_the_large_tile():
    """As where rows do not begin at multiples of 16 bytes: speeds were measured with descriptors."""
    _, sizes = first_plan(product, halves(2048, 5120), halves(5120, 5119))
    assert (sizes["BLOCK_M"], sizes["BLOCK_N"]) == (128, 256)


@helion.kernel()
def product_of_some_rows(x: torch.Tensor, y: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
    m, k, n = x.size(0), x.size(1), y.size(1)
    out = torch.empty([m, n], dtype=torch.float32, device=x.device)
    block = hl.register_block_size(16, 128)
    for slot, tile_n in hl.tile([m, n], block_size=[block, None]):
        for tile_m in hl.tile(slot.begin, ends[0], block_size=block):
            acc = hl.zeros([tile_m, tile_n], dtype=torch.float32)
            for tile_k in hl.tile(k):
                acc = hl.dot(x[tile_m, tile_k], y[tile_k, tile_n], acc=acc)
            out[tile_m, tile_n] = acc
    return out


@helion.kernel()
def two_products(x: torch.Tensor, y: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    m, k, n = x.size(0), x.size(1), y.size(1)
    out = torch.empty([m, n], dtype=torch.float32, device=x.device)
    for tile_m, tile_n in hl.tile([m, n]):
        a = hl.zeros([tile_m, tile_n], dtype=torch.float32)
        b = hl.zeros([tile_m, tile_n], dtype=torch.float32)
        for tile_k in hl.tile(k):
            a = hl.dot(x[tile_m, tile_k], y[tile_k, tile_n], acc=a)
            b = hl.dot(x[tile_m, tile_k], z[tile_k, tile_n], acc=b)
        out[tile_m, tile_n] = a * b
    return out


@helion.kernel()
def product_by_columns(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    m, k, n = x.size(0), x.size(1), y.size(1)
    out = torch.empty([m, n], dtype=torch.float32, device=x.device)
    for tile_n in hl.tile(n):
        for tile_m in hl.tile(m):
            acc = hl.zeros([tile_m, tile_n], dtype=torch.float32)
            for tile_k in hl.tile(k):
                acc = hl.dot(x[tile_m, tile_k], y[tile_k, tile_n], acc=acc)
            out[tile_m, tile_n] = acc
    return out


def test_programs_unlike_those_measured_keep_the_large_tile():
    """Only the device knows how many rows have work; a program does all rows; two products have two accumulators."""
    x, y = halves(2048, 5120), halves(5120, 5120)
    some, _ = first_plan(product_of_some_rows, x, y, torch.zeros(1, dtype=torch.int32))
    two, _ = first_plan(two_products, x, y, y)
    columns, _ = first_plan(product_by_columns, x, y)
    assert some.reason == two.reason == columns.reason == MATMUL_TILES["sm_90"][0].reason


def test_every_tile_is_a_starting_point():
    """The one chosen first, whichever it is."""
    for n in (5120, 4096):
        found = list(plans(product.bind((halves(2048, 5120), halves(5120, n))).program, TARGET))
        assert sorted(p.reason for p in found) == sorted(t.reason for t in MATMUL_TILES["sm_90"])


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


@helion.kernel
def loops_over_whole_and_cut_tiles(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    n, d = k.size(0), hl.specialize(q.size(1))
    out = torch.empty_like(q)
    for tile_m in hl.tile(q.size(0)):
        acc = hl.zeros([tile_m, d], dtype=torch.float32)
        for tile_n in hl.tile(n // 2):
            acc = torch.addmm(acc, hl.dot(q[tile_m, :], k[tile_n, :].T).to(q.dtype), v[tile_n, :])
        for tile_n in hl.tile(n // 2, n):
            acc = torch.addmm(acc, hl.dot(q[tile_m, :], k[tile_n, :].T).to(q.dtype), v[tile_n, :])
        out[tile_m, :] = acc.to(q.dtype)
    return out


def test_all_loops_over_keys_have_tiles_of_attention():
    config = loops_over_whole_and_cut_tiles.bind(tuple(halves(4096, 128) for _ in range(3))).default_config(
        parse_target("sm_90")
    )
    rows, whole, cut = config.block_sizes
    assert whole == cut >= 64 and rows >= 64


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
