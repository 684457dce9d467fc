"""`kernel.as_op` and `as_op`: operators of torch.library, with gradients, checked by torch's own opcheck."""

import pytest
import torch
import transformer
from operators import chain, chain_op, counted_up_op, fast, fused, fused_op, noise_op
from torch import Tensor
from torch.library import opcheck
from torch.utils.checkpoint import checkpoint

import helion.language as hl
from helion import exc
from helion.integration import as_op

CHECKS = {"test_schema", "test_autograd_registration", "test_faketensor", "test_aot_dispatch_dynamic"}


def tensors(*shapes, requires_grad=False, dtype=torch.float32):
    torch.manual_seed(1)
    return [torch.randn(shape, dtype=dtype).requires_grad_(requires_grad) for shape in shapes]


def test_schemas_say_types_defaults_and_what_changes():
    assert str(fused_op.overload._schema) == (
        "helion_tests::fused(Tensor x, Tensor y, float factor=1., Tensor? bias=None, SymInt shift=0) -> Tensor"
    )
    assert fused_op.overload is torch.ops.helion_tests.fused.default
    assert counted_up_op.schema == "(Tensor(a0!) x, SymInt n) -> ()".replace(" n)", " by)")
    assert "Tensor[] weights, ScalarType dtype" in chain_op.schema
    assert chain_op.schema.endswith("-> (Tensor, Tensor)")
    assert torch.Tag.nondeterministic_seeded in noise_op.overload.tags
    assert torch.Tag.nondeterministic_seeded not in fused_op.overload.tags


@pytest.mark.parametrize("shape", [(4, 5), (1, 7), (0, 3)])
@pytest.mark.parametrize("grad", [False, True])
def test_opcheck_of_an_operator_with_a_gradient(shape, grad):
    x, y, bias = tensors(shape, shape, shape, requires_grad=grad)
    for args in ((x, y), (x, y, 2.0, bias, 3), (x, y.t().contiguous().t(), 0.5)):
        assert set(opcheck(fused_op.overload, args)) == CHECKS


def test_opcheck_of_the_others():
    x, y = tensors((4, 6), (4, 6))
    opcheck(counted_up_op.overload, (x, 2))
    opcheck(counted_up_op.overload, (x.t(), 2))
    opcheck(chain_op.overload, (x, [x, y], torch.float64))
    a, b = tensors((5, 8), (8, 6), requires_grad=True)
    opcheck(transformer.matmul_op.overload, (a, b))
    opcheck(transformer.rms_norm_op.overload, (a, tensors((8,), requires_grad=True)[0]))
    opcheck(transformer.softmax_op.overload, (a,))
    opcheck(transformer.swiglu_op.overload, (a,))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_values_and_gradients(dtype):
    x, y, bias = tensors((5, 7), (5, 7), (5, 7), requires_grad=True, dtype=dtype)
    out = fused_op(x, y, factor=2.0, bias=bias)
    want = x.double() * y.double() * 2 + bias.double()
    tolerance = {"atol": 1e-5, "rtol": 1e-5} if dtype is torch.float32 else {"atol": 1e-2, "rtol": 1e-2}
    torch.testing.assert_close(out.double(), want, **tolerance)
    seed = torch.randn(5, 7, dtype=dtype)
    got = torch.autograd.grad(out, (x, y, bias), seed)
    for g, w in zip(got, torch.autograd.grad(want, (x, y, bias), seed.double()), strict=True):
        torch.testing.assert_close(g, w.to(dtype), **tolerance)


def test_gradients_numerically():
    x, y, bias = tensors((3, 2), (3, 2), (3, 2), requires_grad=True, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda *args: fused_op(args[0], args[1], 2.0, args[2]), (x, y, bias))


def test_grad_mode_and_inference_mode():
    x, y = tensors((3, 4), (3, 4), requires_grad=True)
    assert fused_op(x, y).requires_grad
    with torch.no_grad():
        assert not fused_op(x, y).requires_grad
    with torch.inference_mode():
        out = fused_op(x, y)
        counted_up_op(out, 1)
    torch.testing.assert_close(out, x * y + 1)
    assert out.is_inference()
    assert fused_op(torch.nn.Parameter(x.detach()), y).requires_grad


def test_a_tensor_saved_for_backward_may_not_change():
    x, y = tensors((3, 4), (3, 4), requires_grad=True)
    inner = x * 1
    out = (inner * inner).sum()
    with torch.no_grad():
        counted_up_op(inner, 1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.backward()


def test_checkpointed():
    x, y = tensors((3, 4), (3, 4), requires_grad=True)
    out = checkpoint(lambda x, y: fused_op(x, y).sin(), x, y, use_reentrant=False)
    got = torch.autograd.grad(out.sum(), (x, y))
    torch.testing.assert_close(got, torch.autograd.grad((x * y).sin().sum(), (x, y)))


def test_random_numbers_are_drawn_anew_inside_a_graph():
    run = torch.compile(lambda x: (noise_op(x), noise_op(x)), fullgraph=True, backend="aot_eager")
    one, other = run(torch.zeros(8, 8))
    assert not torch.equal(one, other) and one.min() >= 0 and one.max() < 1


def test_a_device_may_have_an_implementation_of_its_own():
    op = as_op(chain, "helion_tests::chain_elsewhere")
    torch.library.register_kernel(op.overload, "cpu", lambda x, weights, dtype=torch.float32: (x, x + 1))
    torch.testing.assert_close(torch.ops.helion_tests.chain_elsewhere(torch.ones(2), [])[1], torch.full((2,), 2.0))


def test_calls_with_nothing_to_record_do_not_pass_the_dispatcher(monkeypatch):
    x, y = tensors((3, 4), (3, 4))
    fused_op(x, y)
    monkeypatch.setattr(fused_op, "overload", lambda *_, **__: pytest.fail("dispatched"))
    torch.testing.assert_close(fused_op(x, y), x * y)


# --- what the source stores to


def test_stores_are_found_through_views_and_tuples():
    from helion.integration.schema import stored_parameters

    def function(a, b, c, d, e, f):
        rows = a.view(-1, 4)
        (m, n), k = b.t().size(), c[0]
        scratch = torch.empty_like(d)
        a = a + 1
        e.zero_()
        for tile in hl.tile(m):
            rows[tile] += scratch[tile]
            k[tile] = d[tile]
            hl.atomic_add(f.reshape(-1), [tile], a[tile])
            scratch[tile] = n

    assert stored_parameters(function) == ("a", "c", "e", "f")


def test_what_the_source_hides_must_be_told():
    views = {"first": lambda t: t[0]}

    @fast
    def hidden(x: Tensor) -> None:
        v = views["first"](x)
        for tile in hl.tile(v.size()):
            v[tile] = 1.0

    with pytest.raises(exc.SchemaMismatch, match=r"changes `x`[\s\S]*mutates=\['x'\]"):
        hidden.as_op("helion_tests::hidden")(torch.zeros(2, 3, 4))
    told = hidden.as_op("helion_tests::hidden_no_more", mutates=["x"])
    x = torch.zeros(2, 3, 4)
    told(x)
    assert x[0].eq(1).all() and x[1].eq(0).all()
    opcheck(told.overload, (x,))


def test_outputs_that_share_memory_are_refused():
    def twice(x: Tensor) -> tuple[Tensor, Tensor]:
        out = fused(x, x)
        return out, out.t()

    with pytest.raises(exc.SchemaMismatch, match="another output"):
        as_op(twice, "helion_tests::twice")(torch.ones(3, 3))


@pytest.mark.parametrize(
    ("annotation", "returns", "says"),
    [
        ("x: Tensor, f: Callable[[Tensor], Tensor]", "Tensor", "parameter `f`"),
        ("x: dict[str, Tensor]", "Tensor", "parameter `x`"),
        ("x: Tensor, n: hl.constexpr", "Tensor", "constant `n`"),
        ("x: Tensor, n", "Tensor", "`n` has no annotation"),
        ("x: Tensor", "dict[str, Tensor]", "what it returns"),
        ("x: Tensor", "", "does not say what it returns"),
    ],
)
def test_what_no_schema_can_hold(tmp_path, annotation, returns, says):
    import importlib.util

    path = tmp_path / "functions.py"
    arrow = f" -> {returns}" if returns else ""
    path.write_text(
        "from collections.abc import Callable\nfrom torch import Tensor\nimport helion.language as hl\n"
        f"def function({annotation}){arrow}:\n    return x\n"
    )
    spec = importlib.util.spec_from_file_location("functions", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with pytest.raises(exc.InvalidOperator) as caught:
        as_op(module.function, "helion_tests::refused")
    assert says in str(caught.value) and caught.value.location.line == 4


@pytest.mark.parametrize("name", ["fused", "helion_tests::", "helion_tests::a.b", "::fused", "helion_tests::fused"])
def test_names(name):
    with pytest.raises(exc.InvalidOperator, match=r"library::operator|already"):
        fused.as_op(name)
