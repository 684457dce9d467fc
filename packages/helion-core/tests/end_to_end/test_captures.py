"""What kernels reach besides their tensor arguments: functions, closures, globals, containers, attributes."""

import dataclasses
import math
from collections import namedtuple

import pytest
import torch

import helion
import helion.language as hl

SHIFT = torch.randn(50)
FACTOR = 3.0
SIZES = helion.Config(block_sizes=[64, 64, 64])


@helion.kernel(config=SIZES)
def matmul_with(x, y, epilogue):
    m, k = x.size()
    k, n = y.size()
    out = torch.empty([m, n], dtype=x.dtype, device=x.device)
    for tile_m, tile_n in hl.tile([m, n]):
        acc = hl.zeros([tile_m, tile_n], dtype=torch.float32)
        for tile_k in hl.tile(k):
            acc = torch.addmm(acc, x[tile_m, tile_k], y[tile_k, tile_n])
        out[tile_m, tile_n] = epilogue(acc, [tile_m, tile_n])
    return out


def product():
    x, y = torch.randn(40, 30), torch.randn(30, 50)
    return x, y, x.double() @ y.double()


def close(out, expected):
    torch.testing.assert_close(out.double(), expected.double(), rtol=1e-4, atol=1e-4)


def test_epilogue_captures_a_global_tensor():
    x, y, expected = product()
    out = matmul_with(x, y, lambda acc, tile: torch.relu(acc + SHIFT[tile[1]]))
    close(out, torch.relu(expected + SHIFT))


def test_epilogue_captures_a_closure_tensor_and_number():
    x, y, expected = product()
    bias, scale = torch.randn(40, 1), 0.5
    out = matmul_with(x, y, lambda acc, tile: acc * scale + bias[tile[0], :])
    close(out, expected * scale + bias)


def test_each_epilogue_gets_its_own_code():
    x, y, expected = product()
    for function in (torch.sigmoid, torch.tanh):
        close(matmul_with(x, y, lambda acc, tile, f=function: f(acc)), function(expected))
    for scale in (2.0, 3.0):
        close(matmul_with(x, y, lambda acc, tile: acc * scale), expected * scale)  # noqa: B023 - called at once


def test_another_tensor_in_the_closure_is_read():
    x, y, expected = product()

    def add(bias):
        return lambda acc, tile: acc + bias[tile[1]]

    first, second = torch.randn(50), torch.randn(50)
    close(matmul_with(x, y, add(first)), expected + first)
    close(matmul_with(x, y, add(second)), expected + second)
    assert matmul_with.bind((x, y, add(first))) is matmul_with.bind((x, y, add(second)))


def with_norm(acc, tile):
    if FACTOR > 1:
        acc = acc * helper(FACTOR)
    return acc


def helper(factor):
    total = 0.0
    for k in range(3):
        if k == 1:
            continue
        total = total + factor * k
    return total


def test_epilogue_is_a_function_that_calls_another():
    x, y, expected = product()
    close(matmul_with(x, y, with_norm), expected * 6)


def test_a_closure_inside_a_closure():
    x, y, expected = product()
    bias = torch.randn(50)

    def outer():
        def inner(acc, tile):
            return acc + bias[tile[1]]

        return lambda acc, tile: inner(acc, tile) * 2

    close(matmul_with(x, y, outer()), (expected + bias) * 2)


Pair = namedtuple("Pair", ["left", "right"])


@dataclasses.dataclass
class Weights:
    scale: torch.Tensor
    shift: torch.Tensor
    power: int = 2


@helion.kernel(use_default_config=True)
def containers(x, pair, table, weights):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        value = x[tile] * pair.left[tile] + pair.right[0][tile]
        value = value + table["bias"][tile] * weights.scale[tile]
        out[tile] = value**weights.power + weights.shift[tile]
    return out


def test_tensors_in_containers():
    x, a, b, c, d, e = torch.randn(6, 33)
    expected = (x.double() * a + b + c.double() * d) ** 2 + e
    close(containers(x, Pair(a, [b]), {"bias": c}, Weights(d, e)), expected)
    expected = (x.double() * a + b + c.double() * d) ** 3 + e
    close(containers(x, Pair(a, [b]), {"bias": c}, Weights(d, e, power=3)), expected)


@helion.kernel(use_default_config=True)
def with_global(x):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] * FACTOR + SHIFT[tile]
    return out


def test_globals(monkeypatch):
    x = torch.randn(50)
    close(with_global(x), x * 3 + SHIFT)
    monkeypatch.setitem(globals(), "SHIFT", torch.ones(50))
    close(with_global(x), x * 3 + 1)


def test_a_changed_global_number_is_seen(monkeypatch):
    x = torch.randn(50)
    close(with_global(x), x * FACTOR + SHIFT)
    monkeypatch.setitem(globals(), "FACTOR", 4.0)
    close(with_global(x), x * 4 + SHIFT)


def test_a_captured_tensor_may_change_its_layout(monkeypatch):
    x = torch.randn(50)
    close(with_global(x), x * FACTOR + SHIFT)
    for other in (torch.randn(100)[::2], torch.randn(50).half(), torch.randn(1).expand(50)):
        monkeypatch.setitem(globals(), "SHIFT", other)
        close(with_global(x), x * FACTOR + other)
    monkeypatch.setitem(globals(), "SHIFT", torch.randn(20))
    with pytest.raises(helion.exc.TileSizeMismatch, match="whose size is 20"):
        with_global(x)


class Layer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(50), requires_grad=False)
        self.options = {"scale": 2.0, "shifts": [torch.randn(50)]}
        self.inner = Weights(torch.randn(50), torch.randn(50), power=2)
        self.unused = 0

    @helion.kernel(use_default_config=True)
    def forward(self, x):
        out = torch.empty_like(x)
        for tile in hl.tile(x.size(0)):
            value = (x[tile] * self.weight[tile]) ** self.inner.power + self.options["shifts"][0][tile]
            out[tile] = value * self.options["scale"] + self.inner.shift[tile]
        return out

    def expected(self, x):
        value = (x.double() * self.weight) ** self.inner.power + self.options["shifts"][0]
        return value * self.options["scale"] + self.inner.shift


def test_attributes_of_an_object_may_change():
    layer, x = Layer(), torch.randn(50)
    close(layer(x), layer.expected(x))
    layer.weight = torch.nn.Parameter(torch.randn(100)[::2], requires_grad=False)
    close(layer(x), layer.expected(x))
    layer.options["scale"] = 3.0
    close(layer(x), layer.expected(x))
    layer.options["shifts"][0] = torch.randn(50, 2)[:, 1]
    close(layer(x), layer.expected(x))
    layer.inner.power = 3
    close(layer(x), layer.expected(x))
    layer.inner = Weights(torch.randn(50), torch.randn(50).double(), power=1)
    close(layer(x), layer.expected(x))
    bound = Layer.forward.bind((layer, x))
    layer.unused = 1
    assert Layer.forward.bind((layer, x)) is bound


class Scaled:
    power = 2
    table = (1.0, 2.0)
    unused = 0

    def scale(self):
        return 3.0

    @helion.kernel(use_default_config=True)
    def run(self, x):
        out = torch.empty_like(x)
        for tile in hl.tile(x.size(0)):
            out[tile] = x[tile] ** self.power * self.table[1] * self.scale()
        return out


class Derived(Scaled):
    def __init__(self):
        self.own = 1


@dataclasses.dataclass
class Recorded:
    own: int = 1
    power = 2
    table = (1.0, 2.0)
    scale = Scaled.scale
    run = Scaled.run


@pytest.mark.parametrize("kind", [Scaled, Derived, Recorded])
def test_attributes_of_a_class_may_change(kind, monkeypatch):
    layer, x = kind(), torch.randn(20)
    close(layer.run(x), x.double() ** 2 * 6)
    bound = kind.run.bind((layer, x))
    owner = Scaled if kind is Derived else kind
    monkeypatch.setattr(owner, "power", 3)
    close(layer.run(x), x.double() ** 3 * 6)
    assert kind.run.bind((layer, x)) is not bound
    monkeypatch.setattr(owner, "table", (1.0, 5.0))
    close(layer.run(x), x.double() ** 3 * 15)
    monkeypatch.setattr(owner, "scale", lambda self: 7.0)
    close(layer.run(x), x.double() ** 3 * 35)
    monkeypatch.undo()
    close(layer.run(x), x.double() ** 2 * 6)
    assert kind.run.bind((layer, x)) is bound
    monkeypatch.setattr(owner, "unused", 5, raising=False)
    assert kind.run.bind((layer, x)) is bound


class Constants:
    SCALE = 2.0


def test_attributes_of_a_class_that_is_a_global_may_change(monkeypatch):
    @helion.kernel(use_default_config=True)
    def scaled(x):
        out = torch.empty_like(x)
        for tile in hl.tile(x.size(0)):
            out[tile] = x[tile] * Constants.SCALE
        return out

    x = torch.randn(20)
    close(scaled(x), x * 2)
    monkeypatch.setattr(Constants, "SCALE", 3.0)
    close(scaled(x), x * 3)


def test_a_kernel_in_a_function_reads_and_writes_its_closure():
    seen, total = torch.randn(40), torch.zeros(40)
    scale = math.pi

    @helion.kernel(use_default_config=True)
    def kernel(x):
        for tile in hl.tile(x.size(0)):
            total[tile] = x[tile] * scale + seen[tile]
        return total

    x = torch.randn(40)
    assert kernel(x) is total
    close(total, x * math.pi + seen)


def test_a_changed_closure_number_is_seen():
    scale = 2.0

    @helion.kernel(use_default_config=True)
    def kernel(x):
        out = torch.empty_like(x)
        for tile in hl.tile(x.size(0)):
            out[tile] = x[tile] * scale
        return out

    x = torch.randn(9)
    close(kernel(x), x * 2)
    scale = 5.0
    close(kernel(x), x * 5)


@helion.kernel(use_default_config=True)
def host_views(x, weight):
    head, tail = x[:10], x[10:].t()
    rows = weight.view(-1, 2).sum(1)
    parts = [rows * 2, rows + 1]
    out = torch.zeros(10, x.size(1))
    for tile_m, tile_n in hl.tile(out.size()):
        out[tile_m, tile_n] = (
            head[tile_m, tile_n] + tail.t()[tile_m, tile_n] * parts[1][tile_m, None] + parts[0][tile_m, None]
        )
    return out[:, 1:], out.sum()


def test_host_code_before_and_behind_the_loop():
    x, weight = torch.randn(20, 33), torch.randn(20)
    rows = weight.view(-1, 2).sum(1)
    expected = x[:10] + x[10:] * (rows + 1)[:, None] + (rows * 2)[:, None]
    out, total = host_views(x, weight)
    close(out, expected[:, 1:])
    close(total, expected.sum())


def test_the_same_tensor_twice_and_views_of_one():
    @helion.kernel(use_default_config=True)
    def sum_of(x, y):
        out = torch.empty_like(x)
        for tile_m, tile_n in hl.tile(x.size()):
            out[tile_m, tile_n] = x[tile_m, tile_n] - 2 * y[tile_m, tile_n]
        return out

    x = torch.randn(30, 30)
    close(sum_of(x, x), -x)
    close(sum_of(x, x.t()), x - 2 * x.t())
    close(sum_of(x.t(), x), x.t() - 2 * x)


def test_results_may_be_written_into_an_argument():
    @helion.kernel(use_default_config=True)
    def double(x):
        for tile in hl.tile(x.size(0)):
            x[tile] = x[tile] * 2

    x = torch.randn(70)
    want = x * 2
    assert double(x) is None
    close(x, want)


@pytest.mark.gpu
def test_on_a_gpu():
    x, y, expected = product()
    bias = torch.randn(50, device="cuda")
    out = matmul_with(x.cuda(), y.cuda(), lambda acc, tile: acc + bias[tile[1]])
    torch.testing.assert_close(out.cpu().double(), expected + bias.cpu(), rtol=1e-2, atol=1e-1)


def test_functions_that_the_kernel_defines_may_hold_its_tiles():
    @helion.kernel(use_default_config=True)
    def shifted_twice(x):
        out = torch.empty_like(x)
        for tile in hl.tile(x.size(0)):
            rows = x[tile, :]
            first = rows[:, None, :].sum(1)

            def shifted(amount, rows=rows):
                return rows + first * amount + x[tile, :]  # noqa: B023 - that is the point

            out[tile, :] = shifted(1) + shifted(2)
        return out

    for size in (8, 20):
        x = torch.randn(size, 33)
        close(shifted_twice(x), 7 * x)


def test_a_repeated_key_follows_what_changes():
    """Keys are repeated from identities where these decide; what may change within is looked at each time."""
    from helion.runtime.recognition.captures import Captures

    def helper():
        return 1

    number, inner, table = 3, helper, [1, 2]

    def kernel():
        return number, inner, table

    captures = Captures()
    captures.add([kernel])
    key = captures.key()
    assert captures.key() == key == captures.key()
    table.append(3)
    longer = captures.key()
    assert longer != key and captures.key() == longer
    number = True  # equal to no int before it, and of another type than 1
    assert captures.key() != longer
    number = 3
    assert captures.key() == longer
    helper.__code__ = (lambda: 2).__code__
    assert captures.key() != longer
    inner = None
    assert captures.key() != longer


def test_the_sign_of_a_captured_zero():
    """0.0 equals -0.0, and NaN nothing, but their code differs, or does not."""
    from helion.runtime.recognition.captures import described
    from helion.runtime.recognition.keys import nested_key

    for key in (lambda v: described(v, set()), lambda v: nested_key(v, set())):
        assert key(0.0) != key(-0.0)
        assert key(float("nan")) == key(float("nan"))
        assert key((1.5, 2)) == key((1.5, 2)) != key((1.5, 3))
