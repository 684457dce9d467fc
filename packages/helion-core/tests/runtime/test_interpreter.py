"""Kernels on CPU tensors: the interpreter's faults are mended, and nothing of it stays behind."""

import pytest
import torch
import triton.language as tl
import triton.language.semantic  # noqa: F401 - an import while a kernel runs would look like a change
from triton import knobs
from triton.runtime.jit import JITFunction

import helion
import helion.language as hl
from helion import exc
from helion.runtime.targets import parse_target

LANGUAGE = (tl, tl.core, tl.math, tl.core.tensor, tl.core.tensor_descriptor_base, JITFunction)


@helion.kernel(use_default_config=True)
def reductions(x: torch.Tensor) -> torch.Tensor:
    out = torch.empty([6, x.size(0)], dtype=torch.float32, device=x.device)
    for tile in hl.tile(x.size(0)):
        rows = x[tile, :].to(torch.float32)
        out[0, tile] = rows.sum(-1)
        out[1, tile] = rows.amax(-1)
        out[2, tile] = rows.amin(-1)
        out[3, tile] = rows.prod(-1)
        out[4, tile] = rows.argmax(-1).to(torch.float32)
        out[5, tile] = rows.argmin(-1).to(torch.float32)
    return out


def close(out, x):
    torch.testing.assert_close(out.double(), expected(x), rtol=1e-5, atol=1e-5, equal_nan=True)


def expected(x):
    x = x.double()
    rows = [x.sum(-1), x.amax(-1), x.amin(-1), x.prod(-1), x.argmax(-1).double(), x.argmin(-1).double()]
    return torch.stack(rows)


def test_triton_is_left_as_it_was():
    before = [dict(vars(owner)) for owner in LANGUAGE]
    reductions(torch.rand(3, 5))
    assert [dict(vars(owner)) for owner in LANGUAGE] == before
    assert not knobs.runtime.interpret


def test_kernels_compile_after_others_were_interpreted():
    x = torch.rand(3, 5)
    close(reductions(x), x)
    assert reductions.bind((x,)).compile_for(parse_target("sm_90")).registers > 0
    close(reductions(x + 1), x + 1)


def test_triton_is_left_as_it_was_after_a_failure():
    @helion.kernel(use_default_config=True)
    def copy(x, index):
        out = torch.empty_like(index, dtype=x.dtype)
        for tile in hl.tile(index.size(0)):
            out[tile] = x[index[tile]]
        return out

    before = [dict(vars(owner)) for owner in LANGUAGE]
    bound = copy.bind((torch.rand(4), torch.tensor([0, 1])))
    broken = bound.generate()
    object.__setattr__(broken, "kernel_source", broken.kernel_source.replace("tl.load(", "tl.no_such_function("))
    with pytest.raises(exc.KernelRunFailed, match="no_such_function"):
        bound(torch.rand(4), torch.tensor([0, 1]))
    assert [dict(vars(owner)) for owner in LANGUAGE] == before


def test_nan_goes_through_reductions_as_in_torch():
    x = torch.rand(4, 6)
    x[1, 2] = float("nan")
    close(reductions(x), x)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_arithmetic_is_rounded_once_per_operator(dtype):
    @helion.kernel(use_default_config=True)
    def poly(x, y):
        out = torch.empty_like(x)
        for tile in hl.tile(x.size(0)):
            out[tile] = torch.exp(x[tile] * y[tile]) - x[tile]
        return out

    x, y = torch.randn(200).to(dtype), torch.randn(200).to(dtype)
    want = torch.exp((x * y).double()) - x.double()
    torch.testing.assert_close(poly(x, y).double(), want, rtol=2 * torch.finfo(dtype).eps, atol=1e-2)


def test_rounding_to_bfloat16_is_to_nearest_even():
    @helion.kernel(use_default_config=True)
    def narrow(x):
        out = torch.empty_like(x, dtype=torch.bfloat16)
        for tile in hl.tile(x.size(0)):
            out[tile] = x[tile]
        return out

    x = torch.cat([torch.randn(1000), torch.tensor([1 + 2**-8, 1 + 3 * 2**-8, float("inf"), -0.0])])
    assert torch.equal(narrow(x), x.bfloat16())


def test_libdevice_functions_have_values():
    @helion.kernel(use_default_config=True)
    def special(x):
        out = torch.empty_like(x)
        for tile in hl.tile(x.size(0)):
            v = x[tile]
            out[tile] = torch.tanh(v) + torch.erf(v) + torch.atan2(v, v + 2) + torch.where(torch.signbit(v), 100, 0)
        return out

    x = torch.randn(64)
    d = x.double()
    want = torch.tanh(d) + torch.erf(d) + torch.atan2(d, d + 2) + torch.where(d < 0, 100, 0)
    torch.testing.assert_close(special(x).double(), want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.int16, torch.int32], ids=str)
def test_integers_wrap_around(dtype):
    @helion.kernel(use_default_config=True)
    def polynomial(x):
        out = torch.empty_like(x)
        for tile in hl.tile(x.size(0)):
            out[tile] = x[tile] * x[tile] * 5 - x[tile] + 100
        return out

    x = torch.randint(torch.iinfo(dtype).min, torch.iinfo(dtype).max, [40]).to(dtype)
    assert torch.equal(polynomial(x), x * x * 5 - x + 100)


def test_comparisons_of_scalars_are_bools():
    @helion.kernel(use_default_config=True)
    def below(x, bound, floor):
        out = torch.empty_like(x, dtype=torch.bool)
        for tile in hl.tile(x.size(0)):
            out[tile] = (x[tile] < bound[0]) & ~(floor[0] < 3) & (bound[0] > 0.5)
        return out

    x = torch.linspace(0, 4, 9)
    for floor in (2, 5):
        expected = (x < 2) & (floor >= 3)
        assert torch.equal(below(x, torch.tensor([2.0]), torch.tensor([floor])), expected)


@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_the_first_of_equal_extremes_is_found_in_parts_of_a_row(name):
    """Lane 0 holds element 16 then, behind element 7 of lane 7."""

    @helion.kernel(config=helion.Config(block_sizes=[4], reduction_loops=[16]))
    def first_of_equals(x):
        out = torch.empty([x.size(0)], dtype=torch.int64)
        for tile in hl.tile(x.size(0)):
            out[tile] = getattr(x[tile, :], name)(1)
        return out

    x = torch.zeros(4, 19)
    x[:, 7] = x[:, 16] = 3 if name == "argmax" else -3
    x[1, 12] = x[2, 2] = float("nan")
    assert torch.equal(first_of_equals(x), getattr(x, name)(1))
