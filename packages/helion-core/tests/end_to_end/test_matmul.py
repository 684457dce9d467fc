"""The matmul of the user documentation, in its three forms, against float64."""

import sys

import pytest
import torch

import helion
import helion.language as hl
from helion import exc

# Errors per dtype, relative to the largest value of the result; bfloat16 is rounded once, when the result is stored.
TOLERANCES = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1e-2}
DTYPES = [torch.float32, torch.float16, torch.bfloat16]

BIG = helion.Config(block_sizes=[[64, 64], [64]])


@helion.kernel()
def matmul(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    m, k = x.size()
    k, n = y.size()
    out = torch.empty([m, n], dtype=x.dtype, device=x.device)

    for tile_m, tile_n in hl.tile([m, n]):
        acc = hl.zeros([tile_m, tile_n], dtype=torch.float32)
        for tile_k in hl.tile(k):
            acc = torch.addmm(acc, x[tile_m, tile_k], y[tile_k, tile_n])
        out[tile_m, tile_n] = acc

    return out


DOCUMENTED = helion.Config(
    block_sizes=[[64, 128], [16]], loop_orders=[[1, 0]], num_warps=4, num_stages=3, indexing="block_ptr", l2_grouping=32
)
FROM_THE_LOG = helion.Config(
    block_sizes=[[64, 32], [32]],
    loop_orders=[[1, 0]],
    num_warps=2,
    num_stages=2,
    indexing="pointer",
    l2_grouping=1,
    use_yz_grid=False,
)
FORMS = {
    "no config": {"use_default_config": True},
    "documented config": {"config": DOCUMENTED},
    "first line of the log": {"config": FROM_THE_LOG},
    "y and z grid": {"config": {"block_sizes": [32, 64, 32], "use_yz_grid": True}},
    "grouped": {"config": {"block_sizes": [16, 16, 32], "l2_groupings": [4]}},
    "several configs": {"configs": [helion.Config(block_sizes=[64, 64, 32], num_stages=n) for n in (1, 2)]},
}


def inputs(m, k, n, dtype=torch.float32):
    torch.manual_seed(0)
    return torch.randn(m, k).to(dtype), torch.randn(k, n).to(dtype)


def check(out, x, y):
    expected = x.double() @ y.double()
    assert out.dtype == x.dtype and out.shape == expected.shape
    scale = max([1.0, *expected.abs().flatten().tolist()])
    torch.testing.assert_close(out.double(), expected, rtol=0, atol=TOLERANCES[x.dtype] * scale)


@pytest.mark.parametrize("form", FORMS)
def test_forms(form):
    kernel = helion.kernel(**FORMS[form])(matmul.fn)
    x, y = inputs(130, 70, 50)
    check(kernel(x, y), x, y)


def test_the_fastest_of_several_configs_is_kept():
    kernel = helion.kernel(configs=FORMS["several configs"]["configs"])(matmul.fn)
    x, y = inputs(64, 64, 64)
    kernel(x, y)
    bound = kernel.bind((x, y))
    assert bound.config in [bound.config_spec.normalize(c) for c in kernel.configs]


@pytest.mark.parametrize("static_shapes", [True, False])
@pytest.mark.parametrize("shapes", [((70, 60), (90, 40)), ((70, 90), (60, 40)), ((70, 5), (1, 40)), ((70, 1), (5, 40))])
def test_operands_that_do_not_multiply_are_refused_either_way(shapes, static_shapes):
    kernel = helion.kernel(matmul.fn, use_default_config=True, static_shapes=static_shapes)
    with pytest.raises(exc.TileSizeMismatch, match="dimension 1 of `x`"):
        kernel(*map(torch.ones, shapes))


def test_a_part_of_the_depth_of_both_may_be_multiplied():
    @helion.kernel(use_default_config=True)
    def begin(x: torch.Tensor, y: torch.Tensor, depth: int) -> torch.Tensor:
        out = torch.empty([x.size(0), y.size(1)], dtype=x.dtype, device=x.device)
        for tile_m, tile_n in hl.tile(out.size()):
            acc = hl.zeros([tile_m, tile_n], dtype=torch.float32)
            for tile_k in hl.tile(depth):
                acc = torch.addmm(acc, x[tile_m, tile_k], y[tile_k, tile_n])
            out[tile_m, tile_n] = acc
        return out

    x, y = inputs(40, 90, 30)
    check(begin(x, y, 50), x[:, :50], y[:50])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(130, 70, 50), (64, 64, 64), (1, 33, 2)], ids=str)
def test_dtypes_and_sizes(dtype, shape):
    x, y = inputs(*shape, dtype)
    bound = matmul.bind((x, y))
    bound.set_config(BIG)
    check(bound(x, y), x, y)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_views_keep_their_strides(dtype):
    x, y = inputs(100, 60, 60, dtype)
    kernel = helion.kernel(config=BIG)(matmul.fn)
    for a, b in [
        (x.t(), x),  # transposed
        (x[::2, 10:], y[10:, 1::3]),  # sliced with steps and offsets
        (x[:, :1].expand(100, 60), y.flip(0)),  # stride 0
        (x.t().contiguous().t(), y[None, ..., None].squeeze()),
    ]:
        check(kernel(a, b), a, b)


@pytest.mark.parametrize(("m", "k", "n"), [(0, 16, 16), (16, 0, 16), (16, 16, 0), (0, 0, 0)])
def test_empty(m, k, n):
    x, y = inputs(m, k, n)
    check(helion.kernel(config=BIG)(matmul.fn)(x, y), x, y)


@pytest.mark.parametrize("spelling", ["mm", "matmul", "@", "+=", "addmm with beta", "hl.dot", "linear"])
def test_every_spelling_of_a_product(spelling):
    step = {
        "mm": lambda acc, a, b: acc + torch.mm(a, b),
        "matmul": lambda acc, a, b: acc + torch.matmul(a, b),
        "@": lambda acc, a, b: acc + a @ b,
        "+=": lambda acc, a, b: acc.__iadd__(a @ b),
        "addmm with beta": lambda acc, a, b: torch.addmm(acc, a, b, beta=1, alpha=1),
        "hl.dot": lambda acc, a, b: hl.dot(a, b, acc),
        "linear": lambda acc, a, b: acc + torch.nn.functional.linear(a, b.t()),
    }[spelling]

    @helion.kernel(config=BIG)
    def product(x, y, step):
        out = torch.empty([x.size(0), y.size(1)], dtype=x.dtype, device=x.device)
        for tile_m, tile_n in hl.tile([x.size(0), y.size(1)]):
            acc = hl.zeros([tile_m, tile_n], dtype=torch.float32)
            for tile_k in hl.tile(x.size(1)):
                acc = step(acc, x[tile_m, tile_k], y[tile_k, tile_n])
            out[tile_m, tile_n] = acc
        return out

    x, y = inputs(70, 90, 40)
    check(product(x, y, step), x, y)


def test_the_sample_call_of_the_documentation_names_both_sizes():
    with pytest.raises(exc.TileSizeMismatch) as caught:
        matmul(torch.randn([2048, 2028]), torch.randn([2048, 2028]))
    error = caught.value
    assert (error.fields["end"], error.fields["size"], error.fields["dim"]) == (2048, 2028, 1)
    assert "`tile_k` runs to 2048, but it indexes dimension 1 of `x`, whose size is 2028" in str(error)
    assert "[2048, 2028]" in str(error)
    place = error.location
    assert place.filename == __file__ and "torch.addmm(acc, x[tile_m, tile_k]" in place.text
    if sys.version_info >= (3, 11):  # before, Python knows no columns
        assert place.text[place.column : place.end_column] == "x[tile_m, tile_k]"


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_default_config_compiles_to_matrix_instructions_everywhere(dtype):
    from helion.runtime.targets import parse_target

    x, y = inputs(256, 256, 256, dtype)
    for name, wanted in (("sm_80", "mma.sync"), ("sm_90", "wgmma"), ("gfx942", "mfma")):
        facts = matmul.bind((x, y)).compile_for(parse_target(name))
        assert facts.matrix_instructions.get(wanted, 0) > 0, (name, facts)
        assert facts.spills == 0 < facts.registers <= 255


def test_bfloat16_uses_wgmma_alone_on_sm_90():
    from helion.runtime.targets import parse_target

    x, y = inputs(512, 512, 512, torch.bfloat16)
    config = helion.Config(block_sizes=[128, 128, 64], num_warps=4, num_stages=3)
    facts = matmul.bind((x, y)).compile_for(parse_target("sm_90"), config)
    assert facts.matrix_instructions["wgmma"] > 0 and "mma.sync" not in facts.matrix_instructions


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("form", FORMS)
def test_on_a_gpu(form, dtype):
    x, y = (t.cuda() for t in inputs(130, 70, 50, dtype))
    out = helion.kernel(dot_precision="ieee", **FORMS[form])(matmul.fn)(x, y)
    check(out.cpu(), x.cpu(), y.cpu())
