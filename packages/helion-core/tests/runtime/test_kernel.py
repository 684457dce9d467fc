"""`helion.Kernel`: what a specialisation depends on, and what it is shared over."""

import dataclasses

import pytest
import torch

import helion
import helion.language as hl
from helion import exc


def make(**options):
    options = {"use_default_config": True, **options}

    @helion.kernel(**options)
    def axpy(x, y, scale=2, shift=0.0):
        out = torch.empty(x.shape, dtype=x.dtype, device=x.device)
        flat_x, flat_y, flat_out = x.reshape(-1), y.reshape(-1), out.view(-1)
        for tile in hl.tile(x.numel()):
            flat_out[tile] = flat_x[tile] * scale + flat_y[tile] + shift
        return out

    return axpy


@pytest.fixture
def axpy():
    return make()


X, Y = torch.randn(6, 50), torch.randn(6, 50)


def bound_count(kernel):
    return sum(map(len, kernel._bound.values()))


# --- arguments ------------------------------------------------------------------------------------------------------


def test_keywords_and_defaults(axpy):
    expected = X * 2 + Y
    for out in (axpy(X, Y), axpy(y=Y, x=X), axpy(X, y=Y, scale=2), axpy(X, Y, 2, shift=0.0)):
        torch.testing.assert_close(out, expected)
    assert bound_count(axpy) == 1
    assert axpy.normalize_args(Y, y=X)[2:] == (2, 0.0)


def test_numbers_are_arguments_of_one_compiled_kernel(axpy):
    for scale, shift in [(2, 0.0), (3, 1.5), (-7, 1e-3), (0, 0.0), (1, float("inf"))]:
        torch.testing.assert_close(axpy(X, Y, scale, shift), X * scale + Y + shift)
    assert bound_count(axpy) == 1
    code = axpy.bind((X, Y, 3, 1.5)).to_triton_code()
    assert "scale" in code.split("def _helion_axpy(")[1].split(")")[0]


def test_an_int_and_a_float_are_different(axpy):
    axpy(X, Y, 2)
    torch.testing.assert_close(axpy(X, Y, 2.5), X * 2.5 + Y)
    assert bound_count(axpy) == 2


def test_large_ints():
    @helion.kernel(use_default_config=True)
    def fill(x, n):
        out = torch.empty_like(x)
        for tile in hl.tile(x.size(0)):
            out[tile] = x[tile] + n
        return out

    x = torch.zeros(5, dtype=torch.int64)
    for n in (3, 2**31, -(2**40)):
        assert torch.equal(fill(x, n), x + n)


def test_conditions_on_numbers_bind_again_where_they_differ():
    @helion.kernel(use_default_config=True)
    def power(x, n):
        out = torch.empty_like(x)
        offset = 1 if n > 3 else 0
        for tile in hl.tile(x.size(0)):
            v = x[tile]
            if n == 2:
                v = v * v
            out[tile] = v + offset
        return out

    x = torch.randn(30)
    for n, expected in [(1, x), (2, x * x), (3, x), (4, x + 1), (9, x + 1), (1, x), (2, x * x)]:
        torch.testing.assert_close(power(x, n), expected)
    assert bound_count(power) == 3  # n == 2; other n up to 3; n above 3


def test_bools_strings_dtypes_and_none_are_baked_in():
    @helion.kernel(use_default_config=True)
    def convert(x, negate, mode, dtype, bias):
        out = torch.empty_like(x, dtype=dtype)
        for tile in hl.tile(x.size(0)):
            v = -x[tile] if negate else x[tile]
            if mode == "double":
                v = v * 2
            if bias is not None:
                v = v + bias[tile]
            out[tile] = v
        return out

    x = torch.randn(30)
    torch.testing.assert_close(convert(x, True, "plain", torch.float32, None), -x)
    torch.testing.assert_close(convert(x, False, "double", torch.float16, None), (x * 2).half())
    torch.testing.assert_close(convert(x, False, "plain", torch.float32, x), x * 2)
    assert bound_count(convert) == 3


# --- tensors --------------------------------------------------------------------------------------------------------


def test_calls_of_one_signature_share_a_bound_kernel(axpy):
    first = axpy.bind((X, Y))
    axpy(X, Y)
    assert axpy.bind((Y + 1, X)) is first and axpy.bind((X, Y, 5)) is first
    compiled = first.compile_config(first.default_config())
    assert first.compile_config(first.default_config()) is compiled
    axpy.reset()
    assert axpy.bind((X, Y)) is not first


@pytest.mark.parametrize(
    "other",
    [
        (X.half(), Y.half()),
        (X[:5], Y[:5]),
        (X.t().contiguous().t(), Y),
        (X[None], Y[None]),
        (X[:, ::2], Y[:, ::2]),
        (X[:1].expand(6, 50), Y),
    ],
    ids=["dtype", "size", "stride", "rank", "step", "expanded"],
)
def test_dtype_size_and_stride_are_part_of_the_key(axpy, other):
    assert axpy.specialization_key((*other, 2, 0.0)) != axpy.specialization_key((X, Y, 2, 0.0))
    torch.testing.assert_close(axpy(*other), other[0] * 2 + other[1])
    torch.testing.assert_close(axpy(X, Y), X * 2 + Y)


@helion.kernel(use_default_config=True)
def scaled(x, y):
    out = torch.empty(x.shape, dtype=x.dtype)
    for tile_m, tile_n in hl.tile(x.size()):
        out[tile_m, tile_n] = x[tile_m, tile_n] * 2 + y[tile_m, tile_n]
    return out


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0, 0), (1, 1), (1, 40), (40, 1), (33, 65)], ids=str)
def test_empty_and_unit_sizes(shape):
    x, y = torch.randn(shape), torch.randn(shape)
    out = scaled(x, y)
    assert out.shape == x.shape
    torch.testing.assert_close(out, x * 2 + y)


def test_layouts_of_arguments():
    x, y = torch.randn(40, 40), torch.randn(40, 40)
    for a, b in [
        (x.t(), y), (x[::2], y[1::2]), (x[:, 5:17], y[:, 20:32]), (x[:1].expand(40, 40), y),
        (x[:, :1].expand(40, 40), y.t()), (x, x), (x, x.t()), (torch.as_strided(x, (30, 10), (7, 1)), y[:30, :10]),
    ]:  # fmt: skip
        torch.testing.assert_close(scaled(a, b), a * 2 + b)


def test_aliased_arguments_do_not_change_the_key(axpy):
    assert axpy.bind((X, X)) is axpy.bind((X, Y))
    torch.testing.assert_close(axpy(X, X), X * 3)


@dataclasses.dataclass(frozen=True)
class Options:
    weight: torch.Tensor
    power: int


def test_containers_count_by_what_they_hold():
    @helion.kernel(use_default_config=True)
    def kernel(x, options):
        out = torch.empty_like(x)
        for tile in hl.tile(x.size(0)):
            out[tile] = x[tile] ** options.power * options.weight[tile]
        return out

    x, w = torch.rand(20), torch.rand(20)
    torch.testing.assert_close(kernel(x, Options(w, 2)), x**2 * w)
    torch.testing.assert_close(kernel(x, Options(w + 1, 2)), x**2 * (w + 1))
    assert bound_count(kernel) == 1
    torch.testing.assert_close(kernel(x, Options(w, 3)), x**3 * w)
    assert bound_count(kernel) == 2


def test_a_key_function_adds_to_the_key():
    kernel = make(key=lambda x, y, scale, shift: x.sum().item() > 0)
    ones = torch.ones(6, 50)
    assert kernel.bind((ones, Y)) is kernel.bind((ones * 2, Y))
    assert kernel.bind((ones, Y)) is not kernel.bind((-ones, Y))


# --- choosing a config ----------------------------------------------------------------------------------------------


def test_the_first_call_uses_the_config_that_was_set(axpy):
    bound = axpy.bind((X, Y))
    assert bound.config is None
    bound.set_config({"block_sizes": [64]})
    assert bound.config.block_sizes == (64,)
    torch.testing.assert_close(axpy(X, Y), X * 2 + Y)
    assert axpy.bind((X, Y)).config.block_sizes == (64,)


def test_one_given_config_beats_the_default():
    kernel = make(config={"block_sizes": [128]})
    kernel(X, Y)
    assert kernel.bind((X, Y)).config.block_sizes == (128,)


def test_autotune_returns_the_config_it_sets():
    kernel = make(configs=[{"block_sizes": [512]}, {"block_sizes": [256]}], use_default_config=False)
    chosen = kernel.autotune((X, Y))
    assert chosen.block_sizes in [(512,), (256,)]
    assert kernel.bind((X, Y)).config.block_sizes == chosen.block_sizes


def test_autotuning_does_not_change_the_arguments():
    @helion.kernel(configs=[{"block_sizes": [16]}, {"block_sizes": [32]}])
    def increment(x):
        for tile in hl.tile(x.size(0)):
            x[tile] = x[tile] + 1

    x = torch.zeros(20)
    increment(x)
    assert torch.equal(x, torch.ones(20))


def test_printing_the_code(capsys):
    kernel = make(print_output_code=True)
    kernel(X, Y)
    kernel(X, Y)
    printed = capsys.readouterr().err
    assert printed.count("@triton.jit") == 1 and "def axpy(x, y, scale=2, shift=0.0" in printed


def test_static_and_dynamic_shapes_give_the_same_results():
    static, dynamic = make(), make(static_shapes=False)
    for shape in [(6, 50), (7, 3), (1, 1), (0, 4)]:
        x, y = torch.randn(shape), torch.randn(shape)
        torch.testing.assert_close(static(x, y), x * 2 + y)
        torch.testing.assert_close(dynamic(x, y), x * 2 + y)


def test_devices_must_agree():
    with pytest.raises((exc.DeviceMismatch, exc.UnsupportedDevice)):
        make()(X, Y.to("meta"))


def test_tensors_made_on_another_device_are_refused():
    @helion.kernel(use_default_config=True)
    def elsewhere(x):
        out = torch.empty(x.shape, dtype=x.dtype, device="meta")
        for tile in hl.tile(x.size(0)):
            out[tile, :] = x[tile, :]
        return out

    with pytest.raises(exc.DeviceMismatch) as caught:
        elsewhere(X)
    assert "`x` on cpu" in str(caught.value) and "`out` on meta" in str(caught.value)
    assert "out[tile, :] = x[tile, :]" in str(caught.value)


@pytest.mark.gpu
def test_cpu_and_gpu_are_different_specialisations(axpy):
    torch.testing.assert_close(axpy(X, Y), X * 2 + Y)
    torch.testing.assert_close(axpy(X.cuda(), Y.cuda()).cpu(), X * 2 + Y)
    with pytest.raises(exc.DeviceMismatch):
        axpy(X, Y.cuda())
    assert bound_count(axpy) == 2
