"""Kernels inside torch.compile(fullgraph=True): what they take, what they return, what they change."""

import pytest
import torch
from torch._dynamo.utils import counters

import helion
import helion.language as hl
from helion import exc

BACKENDS = ["eager", "aot_eager"]
fast = helion.kernel(config={"block_sizes": [16, 16]})


@fast
def scaled(x, factor: float, shift: int = 1, mode: str = "plain", times: hl.constexpr = 2, bias=None):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size()):
        v = x[tile] * factor + shift * times
        if mode == "negative":
            v = -v
        if bias is not None:
            v = v + bias[tile]
        out[tile] = v
    return out


def scaled_reference(x, factor, shift=1, mode="plain", times=2, bias=None):
    v = (x * factor + shift * times) * (-1 if mode == "negative" else 1)
    return v if bias is None else v + bias


@fast
def many(xs, n):
    """New tensors, None, views of one another, an argument it changed, a view of that, a number."""
    a = torch.empty_like(xs[0])
    b = torch.empty([2 * xs[0].size(0), xs[0].size(1)], dtype=torch.float64, device=xs[0].device)
    b[xs[0].size(0) :] = 0
    for tile in hl.tile(xs[0].size()):
        a[tile] = xs[0][tile] * n
        b[tile] = xs[1][tile].to(torch.float64)
        xs[1][tile] = xs[1][tile] + 1
    return a, None, [b[1:], b.t()], xs[1], xs[1].view(-1), n


def many_reference(xs, n):
    a, b = xs[0] * n, torch.cat([xs[1], torch.zeros_like(xs[1])]).double()
    xs[1] += 1
    return a, None, [b[1:], b.t()], xs[1], xs[1].view(-1), n


@fast
def counted_up(x, by: int) -> None:
    v = x.t()
    for tile in hl.tile(v.size()):
        v[tile] = v[tile] + by


def compiled(function, backend, dynamic=None):
    return torch.compile(function, fullgraph=True, backend=backend, dynamic=dynamic)


@pytest.mark.parametrize("backend", BACKENDS)
def test_numbers_strings_constants_none_and_defaults(backend):
    def calls(f, x):
        y = f(x, 2.0, mode="negative", times=3)
        z = f(x=y.sin(), factor=0.5, shift=4)
        return f(z, 1.5, 2, "plain", 2, x) + f(x, 3.0, bias=None)

    run = compiled(lambda x: calls(scaled, x), backend)
    for rows in (5, 7, 1):
        x = torch.randn(rows, 9)
        torch.testing.assert_close(run(x), calls(scaled_reference, x))
    assert not counters["graph_break"]


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("backend", BACKENDS)
def test_lists_and_results_of_every_kind(backend, dynamic):
    def calls(f, x, y):
        a, nothing, (b, c), changed, flat, number = f([x, y + 0], 3)
        assert nothing is None
        return a.sin(), b + 0, c * 2, changed + flat.view_as(changed), x * number

    run = compiled(lambda x, y: calls(many, x, y), backend, dynamic)
    for rows in (4, 6):
        x, y = torch.randn(rows, 5), torch.randn(rows, 5)
        torch.testing.assert_close(run(x, y), calls(many_reference, x, y))


@pytest.mark.parametrize("backend", BACKENDS)
def test_results_share_memory_as_outside(backend):
    x, y = torch.randn(4, 5), torch.randn(4, 5)
    _, _, (b, c), changed, flat, _ = compiled(lambda x, y: many([x, y], 3), backend)(x, y)
    assert b.untyped_storage().data_ptr() == c.untyped_storage().data_ptr()
    assert changed.data_ptr() == flat.data_ptr() == y.data_ptr()
    assert b.stride() == (5, 1) and c.stride() == (1, 5) and b.storage_offset() == 5


@pytest.mark.parametrize("backend", BACKENDS)
def test_arguments_changed_in_place(backend):
    def calls(x):
        before = x.clone()
        counted_up(x, 3)
        inner = x * 1
        counted_up(inner, 1)
        return before, inner

    x = torch.randn(6, 4)
    expected = x.clone()
    before, inner = compiled(calls, backend)(x)
    torch.testing.assert_close((before, x, inner), (expected, expected + 3, expected + 4))


@pytest.mark.parametrize("backend", BACKENDS)
def test_views_of_an_argument_changed_in_place(backend):
    @fast
    def added(x, y):
        for tile in hl.tile(x.size()):
            x[tile] = x[tile] + y[tile]

    def calls(x, y):
        added(x[1:3], y)
        added(x.t()[:2], y.t()[:2, :1].expand(2, 4))
        added(x, x)
        return x.sum()

    x, y = torch.randn(4, 5), torch.randn(2, 5)
    outside = x.clone()
    torch.testing.assert_close((compiled(calls, backend)(x, y), x), (calls(outside, y), outside))


def test_sizes_and_numbers_of_any_value_are_one_graph():
    run = compiled(lambda x, n: scaled(x, 2.0, n).sum(), "aot_eager", dynamic=True)
    for rows, n in [(5, 3), (9, 17), (31, 4), (2, 1000)]:
        x = torch.randn(rows, 7)
        torch.testing.assert_close(run(x, n), scaled_reference(x, 2.0, n).sum())
    assert counters["stats"]["unique_graphs"] == 1


def test_sizes_that_depend_on_data():
    run = compiled(lambda x: scaled(x[x[:, 0] > 0], 2.0), "aot_eager")
    with torch._dynamo.config.patch(capture_dynamic_output_shape_ops=True):
        for x in (torch.randn(20, 3), torch.randn(11, 3)):
            torch.testing.assert_close(run(x), scaled_reference(x[x[:, 0] > 0], 2.0))


@fast
def rounded_up(x):
    """The host code asks about sizes: an even number of rows has an output of its own."""
    rows = x.size(0) if x.size(0) % 2 == 0 else x.size(0) + 1
    out = torch.zeros([rows, x.size(1)], device=x.device)
    for tile in hl.tile(x.size()):
        out[tile] = x[tile]
    return out


def test_questions_of_host_code_about_sizes_become_guards():
    run = compiled(lambda x: rounded_up(x) + 1, "aot_eager", dynamic=True)
    for rows in (4, 5, 7, 8):
        x = torch.randn(rows, 3)
        torch.testing.assert_close(run(x), torch.nn.functional.pad(x, (0, 0, 0, rows % 2)) + 1)
    assert counters["stats"]["unique_graphs"] == 2


TABLE = torch.randn(7, 5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_globals_are_read_when_the_graph_runs(backend):
    @fast
    def added(x):
        turned = TABLE.t()
        out = torch.empty_like(x)
        for tile in hl.tile(x.size()):
            out[tile] = x[tile] + turned[tile]
        return out

    run, x = compiled(lambda x: added(x) * 2, backend), torch.randn(5, 7)
    torch.testing.assert_close(run(x), (x + TABLE.t()) * 2)
    TABLE.add_(1)
    torch.testing.assert_close(run(x), (x + TABLE.t()) * 2)


@pytest.mark.parametrize("backend", BACKENDS)
def test_one_kernel_for_all_sizes_and_results_that_are_sizes(backend):
    @helion.kernel(static_shapes=False, config={"block_sizes": [16, 16]})
    def counted(x, n: int):
        out = torch.empty_like(x)
        for tile in hl.tile(x.size()):
            out[tile] = x[tile] * n
        return out, x.size(0), 2 * x.size(0) + n

    def call(x):
        out, rows, number = counted(x, 3)
        return out * rows + number

    run = compiled(call, backend, dynamic=True)
    for rows in (4, 9, 30):
        x = torch.randn(rows, 3)
        torch.testing.assert_close(run(x), x * 3 * rows + 2 * rows + 3)
    assert counters["stats"]["unique_graphs"] == 1


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return scaled(x, 2.0, 0)

    @staticmethod
    def backward(ctx, grad):
        return scaled(grad, 2.0, 0)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.filterwarnings("error::helion.exc.GradientNotTracked")
def test_inside_an_autograd_function(backend):
    x = torch.randn(4, 6, requires_grad=True)
    out = compiled(lambda x: Doubled.apply(x.sin()).sum(), backend)(x)
    torch.testing.assert_close(torch.autograd.grad(out, x)[0], 2 * x.cos())


def test_gradients_that_get_lost_are_told_of():
    @fast
    def alone(x):
        out = torch.empty_like(x)
        for tile in hl.tile(x.size()):
            out[tile] = x[tile]
        return out

    with pytest.warns(exc.GradientNotTracked, match="`x` of kernel `alone`"):
        out = compiled(lambda x: alone(x) * 2, "aot_eager")(torch.randn(3, 3, requires_grad=True))
    assert not out.requires_grad


class Scale(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.kernel, self.weight = scaled, torch.nn.Parameter(torch.randn(4, 6), requires_grad=False)

    def forward(self, x):
        return self.kernel(x, 2.0, bias=self.weight)


def test_modes_and_modules():
    module, x = Scale(), torch.randn(4, 6)
    run = compiled(module, "aot_eager")
    torch.testing.assert_close(run(x), x * 2 + 2 + module.weight)
    with torch.inference_mode():
        out = run(x)
    assert out.is_inference()
    torch.testing.assert_close(out, x * 2 + 2 + module.weight)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert run(x).dtype is scaled(x, 2.0).dtype is torch.float32


def test_another_kernel_of_the_same_name_is_another_call():
    def make(factor):
        @fast
        def twin(x):
            out = torch.empty_like(x)
            for tile in hl.tile(x.size()):
                out[tile] = x[tile] * factor
            return out

        return twin

    x = torch.randn(3, 5)
    for factor in (2.0, 3.0):
        twin = make(factor)
        torch.testing.assert_close(compiled(lambda x, k=twin: k(x) + 1, "aot_eager")(x), x * factor + 1)


def test_through_inductor():
    def calls(f, g, x):
        y = f(x.sin() * 2, 2.0, bias=x) + 1
        g(y, 3)
        return y * y

    def add(x, by):
        x += by

    run = compiled(lambda x: calls(scaled, counted_up, x), "inductor", dynamic=True)
    for rows in (5, 12):
        x = torch.randn(rows, 6)
        torch.testing.assert_close(run(x), calls(scaled_reference, add, x))


def test_nothing_is_tuned_while_a_graph_is_made(monkeypatch):
    from helion.tuning import choose as tuning

    tuned = helion.kernel(scaled.fn)
    monkeypatch.setattr(tuning, "choose", lambda *_, **__: pytest.fail("a config was chosen"))
    graphs = []

    def keep(graph, _):
        graphs.append(graph)
        return lambda x: (x,)

    torch.compile(lambda x: tuned(x, 2.0), fullgraph=True, backend=keep)(torch.randn(3, 4))
    assert len(graphs) == 1
