"""Bytes and operations counted over programs, against formulas."""

import math

import pytest
import torch

import helion
import helion.language as hl
from helion.explain.report import report
from helion.explain.work import count
from helion.lower.layout import Layout
from helion.runtime.targets import parse_target

SM90 = parse_target("sm_90")


def tensor(*shape, dtype=torch.float32):
    return torch.empty(shape, dtype=dtype, device="meta")


def work(function, *args, block_sizes=None, numbers=()):
    """The work of a kernel under some block sizes; `numbers` are the values of its host numbers."""
    bound = helion.kernel(function).bind(args)
    config = bound.spec_for(SM90).default()
    config = config.replace(block_sizes=block_sizes) if block_sizes else config
    program = bound.program
    layout = Layout(program, dict(zip(program.blocks, config.get("block_sizes", ()), strict=True)))
    return count(program, layout, dict(zip((s.symbol for s in program.scalars), numbers, strict=True)))


def matmul(x, y):
    m, k = x.size()
    k, n = y.size()
    out = torch.empty([m, n], dtype=x.dtype, device=x.device)
    for tile_m, tile_n in hl.tile([m, n]):
        acc = hl.zeros([tile_m, tile_n], dtype=torch.float32)
        for tile_k in hl.tile(k):
            acc = torch.addmm(acc, x[tile_m, tile_k], y[tile_k, tile_n])
        out[tile_m, tile_n] = acc
    return out


@pytest.mark.parametrize("blocks", [[64, 64, 32], [128, 32, 16]])
def test_matmul(blocks):
    m, n, k = 1000, 300, 70
    found = work(matmul, tensor(m, k, dtype=torch.float16), tensor(k, n, dtype=torch.float16), block_sizes=blocks)
    assert found.matrix == {"half": 2 * m * n * k}
    assert found.read == 2 * (m * k + k * n) and found.written == found.stored == 2 * m * n
    assert found.loaded == 2 * (m * k * math.ceil(n / blocks[1]) + k * n * math.ceil(m / blocks[0]))
    assert not found.notes


@pytest.mark.parametrize(
    ("dtype", "kind"), [(torch.float32, "tf32"), (torch.bfloat16, "half"), (torch.float8_e4m3fn, "float8")]
)
def test_kinds_of_products(dtype, kind):
    def product(x, y):
        out = torch.empty([x.size(0), y.size(1)], dtype=torch.float32, device=x.device)
        for tile_m, tile_n in hl.tile(out.size()):
            acc = hl.zeros([tile_m, tile_n], dtype=torch.float32)
            for tile_k in hl.tile(x.size(1)):
                acc = hl.dot(x[tile_m, tile_k], y[tile_k, tile_n], acc=acc)
            out[tile_m, tile_n] = acc
        return out

    assert work(product, tensor(64, 32, dtype=dtype), tensor(32, 48, dtype=dtype)).matrix == {kind: 2 * 64 * 48 * 32}


def test_softmax():
    def softmax(x):
        out = torch.empty_like(x)
        for tile in hl.tile(x.size(0)):
            row = x[tile, :]
            weights = torch.exp(row - torch.amax(row, 1, keepdim=True))
            out[tile, :] = weights / torch.sum(weights, 1, keepdim=True)
        return out

    found = work(softmax, tensor(33, 1000))
    assert found.read == found.written == found.loaded == 33 * 1000 * 4
    assert found.vector == 5 * 33 * 1000  # amax, sub, exp, sum, div
    assert found.matrix == {}


def test_what_is_read_twice_is_distinct_once():
    def two_passes(x):
        out = torch.empty_like(x)
        for tile_m in hl.tile(x.size(0)):
            total = hl.zeros([tile_m], dtype=torch.float32)
            for tile_n in hl.tile(x.size(1)):
                total = total + x[tile_m, tile_n].sum(1)
            for tile_n in hl.tile(x.size(1)):
                out[tile_m, tile_n] = x[tile_m, tile_n] - total[:, None]
        return out

    found = work(two_passes, tensor(40, 600))
    assert found.read == 40 * 600 * 4 and found.loaded == 2 * 40 * 600 * 4


def test_parts_of_a_tensor_add_up():
    def halves(x):
        n = x.size(0) // 2
        out = torch.empty([n], dtype=x.dtype, device=x.device)
        for tile in hl.tile(n):
            out[tile] = x[tile] + x[tile + n]
        return out

    assert work(halves, tensor(1000)).read == 1000 * 4


def test_broadcast_tensors_count_once():
    def add(x, y):
        out = torch.empty_like(x)
        for tile_m, tile_n in hl.tile(x.size()):
            out[tile_m, tile_n] = x[tile_m, tile_n] + y[tile_m, tile_n]
        return out

    found = work(add, tensor(64, 100), tensor(100).expand(64, 100))
    assert found.read == (64 * 100 + 100) * 4 and found.loaded == 2 * 64 * 100 * 4


def test_conversions_and_integers_are_no_operations():
    def convert(x):
        out = torch.empty_like(x)
        for tile in hl.tile(x.size(0)):
            out[tile] = torch.where(tile.index < 5, x[tile].to(torch.float32), 0.0).to(x.dtype)
        return out

    assert work(convert, tensor(100, dtype=torch.float16)).vector == 0


def test_gathers_read_no_more_than_there_is():
    def gather(table, indices):
        out = torch.empty([indices.size(0), table.size(1)], dtype=table.dtype, device=table.device)
        for tile_i, tile_d in hl.tile(out.size()):
            out[tile_i, tile_d] = table[indices[tile_i], tile_d]
        return out

    rows = tensor(1000, 64)
    few, many = (work(gather, rows, tensor(n, dtype=torch.int64), block_sizes=[16, 64]) for n in (10, 5000))
    assert few.read == 10 * 64 * 4 + 10 * 8 and many.read == 1000 * 64 * 4 + 5000 * 8
    assert many.loaded == 5000 * 64 * 4 + 5000 * 8


def test_atomic_updates_read_and_write():
    def histogram(x, out):
        for tile in hl.tile(x.size(0)):
            hl.atomic_add(out, [tile], x[tile])
        return out

    found = work(histogram, tensor(256), tensor(256))
    assert found.read == 2 * 256 * 4 and found.written == 256 * 4


def test_bounds_that_depend_on_the_tile_around_are_averaged():
    def causal(x):
        out = torch.empty_like(x)
        for tile_m in hl.tile(x.size(0)):
            total = hl.zeros([tile_m], dtype=torch.float32)
            for tile_n in hl.tile(tile_m.end):
                total = total + x[tile_n].sum()
            out[tile_m] = total
        return out

    found = work(causal, tensor(1024), block_sizes=[64, 32])
    assert found.loaded == sum(64 * (k + 1) for k in range(16)) * 4 and found.read == 1024 * 4
    many = work(causal, tensor(2**17), block_sizes=[16, 16])
    assert many.loaded == pytest.approx(4 * sum(16 * (k + 1) for k in range(2**13)), rel=0.01)


def test_what_only_the_device_knows_is_noted():
    def jagged(x, offsets):
        out = torch.empty([offsets.size(0) - 1], dtype=x.dtype, device=x.device)
        for row in hl.grid(out.size(0)):
            total = hl.zeros([], dtype=torch.float32)
            for tile in hl.tile(offsets[row], offsets[row + 1]):
                total = total + x[tile].sum()
            out[row] = total
        return out

    found = work(jagged, tensor(1000), tensor(11, dtype=torch.int64))
    assert any("as far as the device decides" in note for note in found.notes)
    assert found.read <= 1000 * 4 + 11 * 8 and found.written == 10 * 4


def test_host_numbers():
    def first(x, n: int):
        out = torch.zeros_like(x)
        for tile in hl.tile(n):
            out[tile] = x[tile] * 2.0
        return out

    found = work(first, tensor(1000), 10, numbers=(10,))
    assert found.read == found.written == 10 * 4 and found.vector == 10


def test_a_report_runs_the_host_code_on_tensors_without_data():
    x, y = tensor(100000, 50000, dtype=torch.bfloat16), tensor(50000, 70000, dtype=torch.bfloat16)
    config = {"block_sizes": [128, 128, 32], "num_warps": 4, "indexing": "pointer", "pid_type": "flat"}
    found = report(helion.kernel(matmul).bind((x, y)), (x, y), SM90, config)
    assert found.grid == (782 * 547,)
    assert found.work.matrix == {"half": 2 * 100000 * 70000 * 50000}
    assert found.roofline.bound == "matrix units"


def test_the_grid_of_programs_that_persist_is_that_of_the_gpu():
    x = tensor(4096, 4096, dtype=torch.bfloat16)
    config = {"block_sizes": [128, 128, 32], "pid_type": "persistent_interleaved", "indexing": "pointer"}
    found = report(helion.kernel(matmul).bind((x, x)), (x, x), SM90, config)
    assert found.grid == (132,)


def test_kernels_for_many_sizes_are_counted_for_those_of_the_call():
    x, y = tensor(1000, 70, dtype=torch.float16), tensor(70, 300, dtype=torch.float16)
    config = {"block_sizes": [64, 64, 32], "indexing": "pointer", "pid_type": "flat"}
    found = report(helion.kernel(matmul, static_shapes=False).bind((x, y)), (x, y), SM90, config)
    assert found.work.matrix == {"half": 2 * 1000 * 70 * 300} and not found.work.notes
    assert found.work.read == 2 * (1000 * 70 + 70 * 300) and found.grid == (16 * 5,)
