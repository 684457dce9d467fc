"""Text, powers, `~` and `divmod` of number arguments are Python's, on the host and in tile loops."""

import math

import pytest
import torch

import helion
import helion.language as hl
from helion import exc


def kernel(function):
    return helion.kernel(function, use_default_config=True)


def value(found):
    return found[0].item()


X = torch.ones(4, dtype=torch.float64)


def in_all_ways(a):
    return (
        f"{a}" == "7" and f"{a!r:>3}" == "  7" and f"{a:03d}" == "007" and str(a) == "7" and repr(a) == "7"
        and format(a, "03d") == "007" and "{}, {k}".format(a, k=a) == "7, 7" and "%d" % a == "7"  # noqa: UP031, UP032
        and "%s, %s" % (a, 1) == "7, 1" and f"{[a]}" == "[7]" and str({"n": (a,)}) == "{'n': (7,)}"  # noqa: UP031
    )  # fmt: skip


@kernel
def text_on_host(x, a):
    out = torch.empty_like(x)
    scale = 1 if f"{a}" == "7" and str(a) == "7" and "%d" % a == "7" else 2  # noqa: UP031
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] * scale
    return out


@kernel
def text_on_device(x, a):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        if in_all_ways(a):
            out[tile] = x[tile]
        else:
            out[tile] = x[tile] * 2
    return out


@pytest.mark.parametrize("function", [text_on_host, text_on_device])
def test_the_text_of_a_number_is_that_of_its_value(function):
    function.reset()
    assert [value(function(X, a)) for a in (7, 8, 7, 70, 8)] == [1, 2, 1, 2, 2]


def test_the_text_of_a_float():
    @kernel
    def function(x, a):
        out = torch.empty_like(x)
        for tile in hl.tile(x.size(0)):
            out[tile] = x[tile] * len(f"{a}") + a
        return out

    assert [value(function(X, a)) for a in (0.5, -0.25, 16.0)] == [3.5, 4.75, 20.0]


def test_text_of_device_numbers_stays_free(capsys):
    @kernel
    def function(x, a):
        out = torch.empty_like(x)
        for tile in hl.tile(x.size(0)):
            assert tile.begin >= 0, f"{a} at {tile.begin}"
            print(f"a is {a}, {tile.block_size}")
            out[tile] = x[tile] * a
        return out

    assert value(function(X, 3)) == 3
    assert "a is 3, " in capsys.readouterr().out


@kernel
def power_on_device(x, a, b):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] * a**b
    return out


@kernel
def power_on_host(x, a, b):
    out = torch.empty_like(x)
    power = a**b
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] * power
    return out


@kernel
def cube(x, a, b):
    out = torch.empty_like(x)
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] * a**3 + a**-1 + a**2.0
    return out


POWERS = [
    (-2.5, 3),
    (2.5, 3),
    (-2, 3),
    (-2, -1),
    (4, -1),
    (-2.5, -2),
    (2, 5),
    (2.5, 0.5),
    (4, 0.5),
    (-1.5, 0),
    (0.0, 2),
]


@pytest.mark.parametrize("function", [power_on_device, power_on_host])
def test_powers_of_numbers(function):
    function.reset()
    for a, b in [*POWERS, *reversed(POWERS)]:
        assert value(function(X, a, b)) == pytest.approx(a**b, rel=1e-6), (a, b)


def test_pow_as_a_function():
    @kernel
    def power(x, a, b):
        out = torch.empty_like(x)
        for tile in hl.tile(x.size(0)):
            out[tile] = x[tile] * pow(a, b) + (pow(b, 3, 5) if isinstance(b, int) else 0)
        return out

    for a, b in POWERS:
        more = pow(b, 3, 5) if isinstance(b, int) else 0
        assert value(power(X, a, b)) == pytest.approx(pow(a, b) + more, rel=1e-6), (a, b)


STRUCTURES = {
    "point from the end": lambda x, k: x[:, -k],
    "slice": lambda x, k: x[:, k : k + 2].sum(1),
    "dim": lambda x, k: torch.cumsum(x, k - 1)[:, k],
    "own reduction": lambda x, k: hl.reduce(lambda a, b: a + b, x, k // k),
    "roll": lambda x, k: x.roll(k, 1)[:, 0],
    "narrow": lambda x, k: x.narrow(1, k, 2).amax(1),
    "topk": lambda x, k: torch.topk(x, k, 1)[0].sum(1),
    "pad": lambda x, k: torch.nn.functional.pad(x, (k, 0))[:, k + 1],
    "repeat": lambda x, k: x.repeat(1, k).sum(1),
    "split": lambda x, k: torch.split(x, 4 * k, 1)[0].sum(1),
    "zeros": lambda x, k: (torch.zeros(x.size(0), k) + x[:, :k]).sum(1),
    "view": lambda x, k: x.view(-1, 8 // k, k).amax(-1).sum(1),
}


@pytest.mark.parametrize("static_shapes", [True, False])
@pytest.mark.parametrize("name", STRUCTURES)
def test_shapes_and_positions_made_of_the_callers_numbers(name, static_shapes):
    function = STRUCTURES[name]

    @helion.kernel(use_default_config=True, static_shapes=static_shapes)
    def of_rows(x, k):
        out = x.new_empty([x.size(0)])
        for tile in hl.tile(x.size(0)):
            out[tile] = function(x[tile, :], k)
        return out

    x = torch.randn(13, 8)
    for k in (2, 1, 2) if name == "dim" else (2, 4, 2) if name != "split" else (2, 1, 2):
        expected = x.sum(1) if name == "own reduction" else function(x, k)
        if name == "dim" and k == 1:
            continue  # running sums down a tile are not those of the whole
        torch.testing.assert_close(of_rows(x, k), expected, rtol=1e-5, atol=1e-5)


def test_numbers_keep_their_types():
    @kernel
    def checked(x, a, b):
        out = torch.empty_like(x)
        for tile in hl.tile(x.size(0)):
            scale = math.log2(a) + math.exp(b)  # holds for this call's values alone
            assert isinstance(a, int) and isinstance(b, float) and not isinstance(b, (int, str))
            out[tile] = x[tile] * scale
        return out

    for a, b in ((4, 0.5), (8, 1.5), (4, 1.5)):
        assert value(checked(X, a, b)) == pytest.approx(math.log2(a) + math.exp(b), rel=1e-6)


@pytest.mark.parametrize("interpret", [True, False])
def test_divmod_of_device_scalars(interpret):
    @helion.kernel(use_default_config=True, interpret=interpret)
    def hours(n, step):
        out = n.new_empty([2, n.size(0)])
        for k in hl.grid(n.size(0)):
            quotient, rest = divmod(n[k], step)
            out[0, k], out[1, k] = quotient + divmod(7, n[k])[0], rest
        return out

    n = torch.tensor([-7, 5, 23, -1, 60])
    expected = [[v // 4 + 7 // v for v in n.tolist()], [v % 4 for v in n.tolist()]]
    assert hours(n, 4).tolist() == expected


def test_one_trace_serves_floats_of_either_sign():
    cube.reset()
    for a in (-2.5, 1.5, -0.5, 3.0):
        assert value(cube(X, a, 0)) == pytest.approx(a**3 + a**-1 + a**2, rel=1e-6)
    assert sum(map(len, cube._bound.values())) == 1


def test_a_power_of_zero_raises_as_python_does():
    with pytest.raises(ZeroDivisionError):
        power_on_host(X, 0, -1)


@pytest.mark.parametrize("function", [power_on_device, power_on_host])
@pytest.mark.parametrize("a", [-2.0, -2])
def test_powers_that_would_be_complex_are_refused(function, a):
    with pytest.raises(exc.UnsupportedOperation, match="complex"):
        function(X, a, 0.5)


def test_powers_of_tensors_and_of_wrong_things_stay_theirs():
    @kernel
    def tensors(x, a):
        out = torch.empty_like(x)
        for tile in hl.tile(x.size(0)):
            out[tile] = (x[tile] * 2) ** a + a ** x[tile] + (x[tile] * 3) ** 2
        return out

    assert value(tensors(X, 3)) == 8 + 3 + 9

    @kernel
    def wrong(x, a):
        power = a ** "2"
        for tile in hl.tile(x.size(0)):
            x[tile] = x[tile] * power
        return x

    with pytest.raises(TypeError):
        wrong(X.clone(), 2)


@kernel
def inverted(x, a):
    out, low = torch.empty_like(x), ~a
    for tile in hl.tile(x.size(0)):
        out[tile] = x[tile] * (~a + 100 * low + 10000 * (~tile.begin))
    return out


@pytest.mark.parametrize("a", [0, 7, -8, 2**20])
def test_inverted_numbers(a):
    assert value(inverted(X, a)) == ~a * 101 - 10000


@kernel
def divided(x, a, b):
    out = torch.empty_like(x)
    whole, rest = divmod(a, b)
    for tile in hl.tile(x.size(0)):
        again, left = divmod(a, b)
        out[tile] = x[tile] * whole + 100 * rest + 1000 * again + 5000 * left
    return out


@pytest.mark.parametrize(("a", "b"), [(7, 2), (-7, 2), (7, -2), (-7, -2), (7.5, 2), (-7.5, 2.0), (1.0, 0.1)])
def test_divided_numbers(a, b):
    whole, rest = divmod(a, b)
    assert value(divided(X, a, b)) == pytest.approx(1001 * whole + 5100 * rest, rel=1e-6)


def test_divided_by_zero():
    with pytest.raises(ZeroDivisionError):
        divided(X, 7, 0)
    assert math.isfinite(value(divided(X, 7, 1)))
