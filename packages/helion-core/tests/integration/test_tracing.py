"""Kernels where tensors hold no data: fake and meta tensors, make_fx, torch.export, modes."""

from dataclasses import dataclass

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.testing._internal.two_tensor import TwoTensor
from torch.utils._python_dispatch import TorchDispatchMode

import helion
import helion.language as hl
from helion import exc

fast = helion.kernel(config={"block_sizes": [16, 16]})


@fast
def outer_sum(x, y):
    out = torch.empty([y.size(1), x.size(0)], dtype=torch.float64, device=x.device).t()
    for tile in hl.tile(x.size()):
        out[tile] = (x[tile] + y[tile]).to(torch.float64)
    return out


@fast
def counted_up(x):
    for tile in hl.tile(x.size()):
        x[tile] = x[tile] + 1
    return x


X, Y = torch.randn(5, 7), torch.randn(5, 7)


def described(t):
    return t.shape, t.stride(), t.dtype


def test_fake_tensors():
    want = described(outer_sum(X, Y))
    mode = FakeTensorMode()
    x, y = mode.from_tensor(X), mode.from_tensor(Y)
    out = outer_sum(x, y)
    assert described(out) == want and out.fake_mode is mode
    with mode:
        inside = outer_sum(torch.empty(5, 7, device="cuda"), torch.empty(5, 7, device="cuda"))
    assert described(inside) == want and inside.device.type == "cuda"
    assert counted_up(x) is x


def test_meta_tensors():
    out = outer_sum(X.to("meta"), Y.to("meta"))
    assert out.is_meta and described(out) == described(outer_sum(X, Y))
    with pytest.raises(exc.DeviceMismatch):
        outer_sum(X, Y.to("meta"))


@pytest.mark.parametrize("tracing_mode", ["real", "fake", "symbolic"])
def test_make_fx(tracing_mode):
    def function(x, y):
        changed = counted_up(x * 2)
        return outer_sum(changed, y) + 1

    want = function(X, Y)  # also: a call that is known already does not escape the trace
    graph = make_fx(function, tracing_mode=tracing_mode)(X, Y)
    assert str(graph.code).count("torch.ops.helion.") == 2
    torch.testing.assert_close(graph(X, Y), want)
    x, y = torch.randn(5, 7), torch.randn(5, 7)
    torch.testing.assert_close(graph(x, y), function(x, y))


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(5, 7))

    def forward(self, x):
        return outer_sum(x.sin(), self.weight.detach()).relu()


@pytest.mark.parametrize("strict", [True, False])
def test_export(strict):
    model = Model()
    exported = torch.export.export(model, (X,), strict=strict).run_decompositions()
    calls = [n for n in exported.graph.nodes if str(n.target).startswith("helion.outer_sum")]
    assert len(calls) == 1
    torch.testing.assert_close(exported.module()(Y), model(Y))


def test_export_of_any_size():
    rows = torch.export.Dim("rows", min=2, max=100)
    model = torch.nn.Module()
    model.forward = lambda x, y: outer_sum(x, y)
    exported = torch.export.export(model, (X, Y), dynamic_shapes=({0: rows}, {0: rows}), strict=False)
    x, y = torch.randn(9, 7), torch.randn(9, 7)
    torch.testing.assert_close(exported.module()(x, y), outer_sum(x, y))


class Seen(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.names.append(str(function))
        return function(*args, **(kwargs or {}))


def test_modes_see_one_operator():
    outer_sum(X, Y)
    with Seen() as seen:
        out = outer_sum(X, Y)
    assert len(seen.names) == 1 and seen.names[0].startswith("helion.outer_sum")
    torch.testing.assert_close(out, (X + Y).double())


def test_subclasses():
    class Named(torch.Tensor):
        pass

    torch.testing.assert_close(outer_sum(X.as_subclass(Named), Y).as_subclass(torch.Tensor), (X + Y).double())
    parameter = torch.nn.Parameter(X, requires_grad=False)
    torch.testing.assert_close(outer_sum(parameter, Y), (X + Y).double())
    pair = outer_sum(TwoTensor(X, 2 * X), Y)
    torch.testing.assert_close((pair.a, pair.b), ((X + Y).double(), (2 * X + Y).double()))


# --- outputs that depend on the config


@helion.kernel(autotune_effort="full")
def shares(x, reduce: bool):
    share = hl.register_block_size(x.size(0))
    out = torch.empty([(x.size(0) + share - 1) // share], device=x.device)
    for rows in hl.tile(x.size(0), block_size=share):
        out[rows.id] = x[rows, :].sum(-1).sum(0)
    return out.sum() if reduce else out


def test_a_shape_that_the_config_decides_needs_a_config():
    x = torch.randn(200, 3)
    assert shares(x.to("meta"), True).shape == ()
    with pytest.raises(exc.NotInGraph, match="other shapes under other configs"):
        shares(x.to("meta"), False)
    for device in ("cpu", "meta"):
        shares.bind((x.to(device), False)).set_config({"block_sizes": [64]})
    assert shares(x.to("meta"), False).shape == shares(x, False).shape == (4,)


TOTAL = torch.zeros(5, 7)


@dataclass
class Holder:
    x: torch.Tensor


def test_objects_that_hold_tensors_have_no_place_in_a_graph():
    @fast
    def doubled(held):
        out = torch.empty_like(held.x)
        for tile in hl.tile(held.x.size()):
            out[tile] = held.x[tile] * 2
        return out

    with pytest.raises(exc.NotInGraph, match="a Holder among its arguments"):
        doubled(Holder(X.to("meta")))
    torch.testing.assert_close(doubled(Holder(X)), X * 2)


def test_a_store_to_a_global_has_no_place_in_a_graph():
    @fast
    def remembered(x):
        for tile in hl.tile(x.size()):
            TOTAL[tile] = x[tile]

    with pytest.raises(exc.NotInGraph, match="not one of its arguments"):
        remembered(FakeTensorMode().from_tensor(X))
    remembered(X)
    torch.testing.assert_close(TOTAL, X)
