"""Kernels with static_shapes=False: right for all sizes, compiled once, specialised where the code depends on it."""

import random
import sys
from pathlib import Path

import pytest
import torch

import helion
import helion.language as hl
from helion import exc
from helion.runtime.targets import COMMON, parse_target

sys.path.insert(0, str(Path(__file__).parent))
from unsized import add, attention, kernel, layer_norm, layer_norm_reference, matmul, softmax


def bounds(kernel):
    return [bound for found in kernel._bound.values() for bound in found]


def near(out, expected, tolerance=2e-5):
    assert out.shape == expected.shape
    torch.testing.assert_close(out.double(), expected, atol=tolerance, rtol=tolerance, equal_nan=True)


def size(rng, most):
    return rng.choice([0, 1, 2, 3, 16, rng.randint(0, most // 2), rng.randint(0, most)])


RANDOM = {
    "add": (add, lambda n: _alike(n(), n()), lambda x, y: x + y),
    "softmax": (softmax, lambda n: [(n(), n())], lambda x: torch.softmax(x, 1)),
    "matmul": (matmul, lambda n: _chained(n(), n(), n()), lambda x, y: x @ y),
    "layer_norm": (layer_norm, lambda n: _row(n(), n()), layer_norm_reference),
}  # fmt: skip


def _alike(m, n):
    return [(m, n), (m, n)]


def _chained(m, k, n):
    return [(m, k), (k, n)]


def _row(m, n):
    return [(m, n), (n,), (n,)]


def run_random(name, count, seed, most=140):
    kernel, shapes, reference = RANDOM[name]
    rng = random.Random(seed)
    torch.manual_seed(seed)
    kernel.reset()
    for _ in range(count):
        args = [torch.randn(shape) for shape in shapes(lambda: size(rng, most))]
        near(kernel(*args), reference(*(a.double() for a in args)), 2e-4)
    (bound,) = bounds(kernel)
    assert len(bound._compiled) == 1


@pytest.mark.parametrize("name", RANDOM)
def test_random_shapes(name):
    run_random(name, 30, 1, most=24)


@pytest.mark.slow
@pytest.mark.parametrize("name", RANDOM)
def test_two_hundred_random_shapes(name):
    run_random(name, 200, 2)


@pytest.mark.parametrize("first", [(0, 5), (1, 1), (5, 0), (1, 40), (40, 1), (8, 8)])
def test_the_first_shape_does_not_matter(first):
    add.reset()
    for shape in (first, (13, 50), (0, 0), (1, 7), (7, 1), (20, 20)):
        x, y = torch.randn(shape), torch.randn(shape)
        near(add(x, y), (x + y).double())
    assert len(bounds(add)) == 1


# --- what is specialised


def test_broadcasting_a_size_of_one_is_a_kernel_of_its_own():
    @kernel
    def plus(x, y):
        out = torch.empty_like(x)
        for tile in hl.tile(x.size(0)):
            out[tile, :] = x[tile, :] + y[tile, :]
        return out

    x = torch.randn(9, 30)
    for y in (torch.randn(9, 30), torch.randn(9, 1)):
        near(plus(x, y), (x + y).double())
    assert len(bounds(plus)) == 2
    z = torch.randn(5, 1)
    near(plus(z, z), (z + z).double())
    near(plus(torch.randn(4, 60), torch.zeros(4, 1)).double() * 0, torch.zeros(4, 60).double())
    assert len(bounds(plus)) == 2


def test_conditions_of_host_code():
    @kernel
    def doubled(x):
        out = torch.empty_like(x)
        factor = 2.0 if x.size(0) > 16 else 3.0
        for tile in hl.tile(x.size(0)):
            out[tile] = x[tile] * factor
        return out

    for n in (5, 40, 16, 17, 0, 1, 100):
        x = torch.randn(n)
        near(doubled(x), (x * (2.0 if n > 16 else 3.0)).double())
    assert len(bounds(doubled)) == 2


def test_a_size_of_one_that_host_code_asks_for():
    @kernel
    def first_or_all(x):
        out = torch.empty_like(x)
        factor = 5.0 if x.size(0) == 1 else 1.0
        y = x.squeeze(1)
        for tile in hl.tile(x.size(0)):
            if y.dim() == 1:
                out[tile, 0] = y[tile] * factor
            else:
                out[tile, :] = y[tile, :] * factor
        return out

    for shape in ((6, 4), (1, 4), (6, 1), (1, 1), (3, 3)):
        x = torch.randn(shape)
        near(first_or_all(x), (x * (5.0 if shape[0] == 1 else 1.0)).double())


def test_specialize():
    @kernel
    def rows(x):
        n = hl.specialize(x.size(1))
        out = torch.empty([x.size(0)], dtype=x.dtype)
        for tile in hl.tile(x.size(0)):
            out[tile] = x[tile, :].sum(1) * n
        return out

    for m, n in ((5, 8), (9, 8), (7, 12), (0, 8)):
        x = torch.randn(m, n)
        near(rows(x), (x.sum(1) * n).double())
    assert len(bounds(rows)) == 2
    assert "x_size_1" not in bounds(rows)[0].to_triton_code()


def test_operations_that_need_a_size_fix_it():
    @kernel
    def halves(x):
        out = torch.empty([x.size(0), 3], dtype=x.dtype)
        for tile in hl.tile(x.size(0)):
            out[tile, :] = x[tile, :][:, 1:4]
        return out

    for m, n in ((5, 8), (9, 8), (4, 10)):
        x = torch.randn(m, n)
        near(halves(x), x[:, 1:4].double())
    assert len(bounds(halves)) == 2


def test_products_over_whole_dimensions_share_powers_of_two():
    @kernel
    def product(x, w):
        out = torch.empty([x.size(0), w.size(1)], dtype=x.dtype)
        for tile in hl.tile(x.size(0)):
            out[tile, :] = torch.mm(x[tile, :], w[:, :])
        return out

    for m, k, n in ((20, 17, 30), (33, 32, 17), (5, 25, 20), (9, 60, 30)):
        x, w = torch.randn(m, k), torch.randn(k, n)
        near(product(x, w), (x @ w).double(), 1e-4)
    assert len(bounds(product)) == 2


def test_mistakes_are_found_at_every_call():
    with pytest.raises(exc.TileSizeMismatch, match=r"runs to 8.*size is 7"):
        matmul(torch.randn(4, 7), torch.randn(8, 3))
    matmul(torch.randn(4, 7), torch.randn(7, 3))
    with pytest.raises(exc.TileSizeMismatch, match=r"runs to 9.*size is 5"):
        matmul(torch.randn(4, 5), torch.randn(9, 3))
    with pytest.raises(exc.TileSizeMismatch, match=r"runs to 5.*dimension 1 of `x`, whose size is 9"):
        matmul(torch.randn(4, 9), torch.randn(5, 3))
    near(matmul(torch.ones(4, 9), torch.ones(9, 3)), torch.full((4, 3), 9.0).double(), 1e-6)


def test_a_point_outside_is_found_at_every_call():
    @kernel
    def third(x):
        out = torch.empty([x.size(0)])
        for tile in hl.tile(x.size(0)):
            out[tile] = x[tile, 3] + x[tile, -1]
        return out

    for n in (4, 9):
        x = torch.randn(6, n)
        near(third(x), (x[:, 3] + x[:, -1]).double())
    with pytest.raises(exc.OutOfRangeIndex):
        third(torch.randn(6, 3))


# --- layouts


def test_layouts_of_arguments():
    torch.manual_seed(0)
    add.reset()
    base = torch.randn(40, 50)
    for x in (base, base[:, :30], base[::2], base.t(), base.t()[:20], base[:, ::3], base[:1].expand(9, 50)):
        y = torch.randn(x.shape)
        near(add(x, y), (x + y).double())
        near(add(y, x), (x + y).double())
    many = len(bounds(add))
    for x in (base[:9, :31], base[3:, 1:8], base.t()[4:9]):
        near(add(x, torch.zeros(x.shape)), x.double())
    assert len(bounds(add)) == many


def test_lists_dicts_and_reassigned_names():
    @kernel
    def total(tensors, more):
        n = tensors[0].size(0)
        out = torch.empty([n])
        x = tensors[1]
        tensors = (x, tensors[0])
        for tile in hl.tile(n):
            out[tile] = x[tile] + tensors[1][tile] + more["y"][tile]
        return out

    for n in (5, 0, 1, 33):
        a, b, c = (torch.randn(n) for _ in range(3))
        near(total([a, b], {"y": c}), (a + b + c).double())
    assert len(bounds(total)) == 1


def test_sizes_in_device_code_are_those_of_the_call():
    @kernel
    def mean(x):
        out = torch.empty([x.size(0)])
        for tile in hl.tile(x.size(0)):
            out[tile] = x[tile, :].sum(1) / x.size(1) + x.stride(0) * 0
        return out

    for m, n in ((5, 8), (3, 100), (4, 1)):
        x = torch.randn(m, n)
        near(mean(x), x.double().mean(1))


def test_dtypes_and_devices_still_count():
    add.reset()
    for dtype in (torch.float32, torch.bfloat16, torch.float64):
        x = torch.randn(5, 9).to(dtype)
        torch.testing.assert_close(add(x, x), x + x)
    assert len(bounds(add)) == 3


# --- 64 bits


def test_offsets_beyond_32_bits_are_a_second_kernel():
    """Sizes are judged without memory: tensors of a fake mode have none."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    add.reset()
    small = torch.randn(5, 9)
    narrow = add.bind((small, small))
    with FakeTensorMode():
        large = torch.empty(70000, 70000)
        edge = torch.empty(2**15, 2**15)
    assert narrow.holds(edge, edge) and not narrow.holds(large, large)
    wide = add.bind((large, large))
    assert wide is not narrow and wide.holds(large, large) and not wide.holds(small, small)
    assert "int64" not in narrow.to_triton_code() and ".to(tl.int64)" in wide.to_triton_code()
    assert len(bounds(add)) == 2
    out = torch.empty_like(small)
    code = wide.compile_config(wide.default_config()).run(small, small)
    assert code.shape == out.shape
    torch.testing.assert_close(code, small + small)


@helion.kernel(config=helion.Config(block_sizes=[64]), static_shapes=False)
def last_of_all(x: torch.Tensor, y: torch.Tensor) -> None:
    flat = x.view(-1)
    n, k = flat.size(0), y.size(0)
    for tile in hl.tile(n - k, n):
        flat[tile] = flat[tile] + 1


@pytest.mark.parametrize("rows", [3, 2**16 + 1])
def test_bounds_that_are_products_and_differences_of_sizes(rows):
    """Of a matrix whose elements 32 bits do not count, too; pages of it that nobody touches cost nothing."""
    x, y = torch.empty(rows, 2**15, dtype=torch.int8), torch.empty(100)
    x[-1] = 0
    last_of_all(x, y)
    assert x[-1, :-100].eq(0).all() and x[-1, -100:].eq(1).all()


# --- the code


def test_the_module_runs_alone_for_all_sizes(tmp_path):
    for name, shapes in {"matmul": [(3, 4, 5), (65, 70, 1)], "layer_norm": [(5, 30), (1, 2000)]}.items():
        kernel, make, _ = RANDOM[name]
        kernel.reset()
        args = [torch.randn(s) for s in make(iter((33, 44, 55)).__next__)]
        code = kernel.bind(args).to_triton_code()
        for sizes in shapes:
            tensors = [torch.randn(s) for s in make(iter(sizes).__next__)]
            seen = []
            space = {"__name__": "generated"}
            (tmp_path / f"{name}.py").write_text(code)
            exec(compile(code, str(tmp_path / f"{name}.py"), "exec"), space)
            space[name].__kwdefaults__["_launch"] = lambda _, grid, *args, seen=seen, **__: seen.append((grid, args))
            space[name](*tensors)
            (grid, passed) = seen[0]
            assert all(isinstance(n, int) for n in grid)
            assert [t.shape for t in passed[: len(tensors)]] == [t.shape for t in tensors]


@pytest.mark.parametrize("target", [pytest.param(t, marks=[] if t == "sm_90" else pytest.mark.slow) for t in COMMON])
@pytest.mark.parametrize("name", ["matmul", "softmax", "attention"])
def test_compiles(name, target):
    args = {
        "matmul": (matmul, [(300, 200), (200, 500)]), "softmax": (softmax, [(300, 500)]),
        "attention": (attention, [(4, 300, 64)] * 3),
    }[name]  # fmt: skip
    bound = args[0].bind([torch.randn(shape, dtype=torch.bfloat16) for shape in args[1]])
    facts = bound.compile_for(parse_target(target))
    assert facts.code_size > 0 and facts.shared_memory <= parse_target(target).shared_memory


def test_descriptors_where_strides_are_aligned():
    torch.manual_seed(2)
    matmul.reset()
    for m, k, n in ((40, 32, 48), (40, 33, 47), (7, 64, 16), (1, 1, 1), (20, 0, 16)):
        x, y = torch.randn(m, k), torch.randn(k, n)
        bound = matmul.bind((x, y))
        config = {"block_sizes": [32, 32, 32], "indexing": "tensor_descriptor"}
        assert "_desc.load" in bound.to_triton_code(config)
        near(bound.compile_config(config).run(x, y), x.double() @ y.double(), 1e-4)
    assert len(bounds(matmul)) == 1
    bound = matmul.bind([torch.randn(300, 200).bfloat16(), torch.randn(200, 500).bfloat16()])
    assert bound.compile_for(parse_target("sm_90"), config).matrix_instructions["tma"]


def test_attention():
    torch.manual_seed(3)
    attention.reset()
    for b, m, n in ((1, 5, 7), (2, 40, 33), (3, 1, 65)):
        q, k, v = torch.randn(b, m, 16), torch.randn(b, n, 16), torch.randn(b, n, 16)
        scores = q.double() @ k.double().transpose(1, 2)
        near(attention(q, k, v), torch.softmax(scores, -1) @ v.double(), 1e-4)
    assert len(bounds(attention)) == 1


# --- configs


def test_configs_by_bucket():
    @helion.kernel(static_shapes=False)
    def scaled(x):
        out = torch.empty_like(x)
        for tile in hl.tile(x.size(0)):
            out[tile] = x[tile] * 2
        return out

    bound = scaled.bind((torch.randn(100),))
    small, large = helion.Config(block_sizes=[16]), helion.Config(block_sizes=[256])
    bound.set_configs({(5,): small, (10,): large})
    ran = []
    for config, compiled in bound._compiled.items():
        bound._table._runs = {
            k: (lambda *args, r=run, k=k: ran.append(k) or r(*args)) for k, run in bound._table._runs.items()
        }
        assert compiled.config == config
    for n, bucket in ((20, (5,)), (32, (5,)), (600, (10,)), (1024, (10,)), (600, (10,)), (20, (5,))):
        x = torch.randn(n)
        torch.testing.assert_close(scaled(x), x * 2)
        assert ran[-1] == bucket
    x = torch.randn(0)
    assert scaled(x).shape == x.shape  # the nearest bucket
    bound.set_config(small)
    torch.testing.assert_close(scaled(torch.ones(600)), torch.full((600,), 2.0))
    with pytest.raises(exc.InvalidConfig):
        bound.set_configs({})


def test_rows_of_unknown_length_are_taken_in_parts():
    spec = softmax.bind((torch.randn(4, 5),)).config_spec
    with pytest.raises(exc.InvalidConfig, match="reduction_loops"):
        spec.normalize(helion.Config(reduction_loops=[None]))
    x = torch.randn(3, 300)
    run = softmax.bind((x,)).compile_config({"block_sizes": [2], "reduction_loops": [64]}).run
    near(run(x), torch.softmax(x.double(), 1))
